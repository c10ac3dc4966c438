"""The paper's tables as data: complete where they say so, and consistent with what is known."""

import pytest
from conftest import ROOT

from arml.ablation import read_sweep
from arml.report.paper_comparison import notes_of
from arml.report.paper_tables import FOLDER, paper_table

TAGS = ['table1', 'table2', 'table3', 'table4']


@pytest.mark.parametrize('tag', TAGS)
def test_paper_table__is_well_formed(tag):
    table = paper_table(tag)
    assert table.name == f'Table {tag[-1]}'
    assert table.source.endswith(table.name)
    assert 'MICCAI 2024' in table.source
    names = {row.name for row in table.rows}
    assert len({(row.name, row.dataset) for row in table.rows}) == len(table.rows)
    for row in table.rows:
        assert row.scores
        assert all(0 < value < 100 for value in row.scores.values())
        assert row.std.keys() <= row.scores.keys()
    for wanted, dataset, text in table.notes:
        assert wanted <= names
        assert dataset in (None, *(row.dataset for row in table.rows))
        assert text


def test_paper_table__no_other():
    assert paper_table('table5') is None
    assert paper_table('source') is None
    assert {file.stem for file in FOLDER.glob('*.yaml')} == {*TAGS, 'source'}


@pytest.mark.parametrize('dataset', ['BCSS-WSSS', 'LUAD-HistoSeg'])
def test_table1__means_follow_from_the_classes(dataset):
    """Where all classes are known the means are theirs, but for the rows whose notes say otherwise."""
    table = paper_table('table1')
    complete = [row for row in table.rows if row.dataset == dataset and len(row.scores) >= 7]
    assert len(complete) == 3
    for row in complete:
        ious = [value for name, value in row.scores.items() if name.startswith('IoU.')]
        assert sum(ious) / 4 == pytest.approx(row.scores['mIoU'], abs=0.02)
        dice = sum(2 * iou / (100 + iou) for iou in ious) / 4 * 100
        assert dice == pytest.approx(row.scores['mDice'], abs=0.1)


def test_table1__what_the_notes_say_of_histosegnet_is_so():
    table = paper_table('table1')
    (row,) = [r for r in table.rows if (r.name, r.dataset) == ('HistoSegNet', 'LUAD-HistoSeg')]
    ious = [value for name, value in row.scores.items() if name.startswith('IoU.')]
    assert sum(2 * iou / (100 + iou) for iou in ious) / 4 * 100 == pytest.approx(66.7, abs=0.05)
    assert any('66.7' in text for text in table.notes_of('LUAD-HistoSeg'))
    assert not any('66.7' in text for text in table.notes_of('BCSS-WSSS'))


def test_tables_2_to_4__agree_where_they_are_of_one_run():
    two, three, four = (paper_table(tag) for tag in TAGS[1:])

    def score(table, **where):
        return table.row_of(where, 'BCSS-WSSS').scores['mIoU']

    full = score(two, components='full')
    assert full == score(three, omega=2) == score(four, relation='structure') == 70.56
    assert score(paper_table('table1'), backbone='resnest101') == full
    # what their notes say is inconsistent
    ars = score(two, components='ars')
    assert ars == score(three, omega='none') == score(four, relation='none')
    assert score(two, components='ars_srm') != score(three, omega=1)
    assert full - ars == pytest.approx(2.59)
    assert score(two, components='ars_srm') - ars == pytest.approx(0.79)
    assert full - score(two, components='ars_swv') == pytest.approx(1.40)


def test_row_of__the_last_part_of_a_path_and_several_values():
    four = paper_table('table4')
    for value in ('crl_joint', 'crl_correlation'):
        assert four.row_of({'model.srm.relation': value}, 'BCSS-WSSS').name == 'CRL'
    assert four.row_of({'relation': 'other'}, 'BCSS-WSSS') is None
    assert four.row_of({'relation': 'kl'}, 'LUAD-HistoSeg') is None
    assert four.row_of({'omega': 'kl'}, 'BCSS-WSSS') is None


def test_notes_of__those_of_the_data_set():
    three = paper_table('table3')
    assert len(three.notes_of('BCSS-WSSS')) == 3
    assert any('n or n - 1' in note for note in paper_table('table1').notes_of('BCSS-WSSS'))


def test_notes__name_the_other_rows_and_what_is_left_out():
    notes = notes_of(paper_table('table1'), ['OEEM', 'AMR'], 'LUAD-HistoSeg')
    assert any('they imply' in note or 'which imply about 82.6' in note for note in notes)
    (others,) = [note for note in notes if note.startswith('Its other rows on LUAD-HistoSeg')]
    assert 'AME-CAM mIoU 70.11' in others
    assert 'AMR' not in others
    assert 'ReCAM' in notes[-1]


@pytest.mark.parametrize(('tag', 'name'), [('table3', 'omega'), ('table4', 'relation')])
def test_notes__say_what_our_row_without_the_loss_keeps(tag, name):
    table = paper_table(tag)
    for value in ('none', 'cross_entropy'):
        assert table.row_of({name: value}, 'BCSS-WSSS').scores['mIoU'] == 67.97
    (note,) = [text for text in table.notes_of('BCSS-WSSS') if f'our {name}=none keeps' in text]
    assert f'{name}=cross_entropy' in note


@pytest.mark.parametrize(
    'file', sorted((ROOT / 'sweeps').glob('table*.yaml')), ids=lambda f: f.stem
)
def test_sweeps__have_the_rows_of_their_table(file):
    """Each line of a sweep is a row of its table, and each of our rows there is a line of the sweep."""
    sweep = read_sweep(file)
    (tag,) = sweep.tags
    table = paper_table(tag)
    dataset = 'LUAD-HistoSeg' if tag == 'table1' and file.stem.endswith('luad') else 'BCSS-WSSS'
    found = [table.row_of(values, dataset) for values in sweep.combinations()]
    # Methods that the paper does not compare with have none.
    assert None not in found or 'method' in sweep.parameters
    ours = {
        row.name
        for row in table.rows
        if row.dataset == dataset and any(one.keys() & sweep.parameters.keys() for one in row.where)
    }
    named = {row.name for row in found if row is not None}
    # At CPU size there is one backbone.
    assert named <= ours if file.stem.startswith('table1_methods_tiny') else named == ours
