"""Cells beside their ledger, grouped over seeds, and named by a user."""

import json

import pytest
from fake_ledger import SCORES, failed, finished, omega_cells, omega_lines, omega_runs, runs_of

from arml.errors import DataError
from arml.report.sweep_cells import SEED, entries_of, find_group, groups_of, varied


def test_entries_of__a_finished_line_counts_most():
    cells = [({'omega': value}, str(value)) for value in (1, 2, 3, 4)]
    lines = [
        failed({}, '1'), finished({}, 50.0, '1'), failed({}, '1'),
        failed({}, '2', ['first']), failed({}, '2', ['second', '  ', '']),
        finished({}, 50.0, '3'), finished({}, 51.0, '3'), finished({}, 1.0, 'stranger'),
    ]  # fmt: skip
    one, two, three, four = entries_of(cells, lines)
    assert [each.status for each in (one, two, three, four)] == [
        'finished', 'failed', 'finished', 'missing',
    ]  # fmt: skip
    assert (two.reason, one.reason, four.reason) == ('second', '', '')
    assert three.metrics('ARML')['mIoU'] == 51
    assert two.metrics('ARML') == four.metrics('no such row') == {}


def test_entries_of__work_dirs_that_moved_and_lines_of_older_versions(tmp_path):
    new, old = finished({}, 50.0, 'new', work_dir='/gone/new'), finished({}, 50.0, 'old')
    for name in ('classes', 'histories', 'stages'):
        del old[name]
    for run, of in (('new', 'new'), ('old', 'old')):
        (tmp_path / run).mkdir()
        result = {**finished({}, 50.0, of), 'classes': ['A', 'B'], 'histories': {'segmentor': 'x'}}
        (tmp_path / run / 'result.json').write_text(json.dumps(result))
    cells = [({}, 'new'), ({}, 'old')]
    first, second = entries_of(cells, [new, old], tmp_path)
    assert (first.row['work_dir'], first.row['classes']) == (str(tmp_path / 'new'), new['classes'])
    assert (second.row['work_dir'], second.row['classes']) == (str(tmp_path / 'old'), ['A', 'B'])
    assert second.row['histories'] == {'segmentor': 'x'}
    assert 'work_dir' not in entries_of(cells, [new, old])[1].row
    result = (tmp_path / 'old' / 'result.json').read_text().replace('"old"', '"another"')
    (tmp_path / 'old' / 'result.json').write_text(result)
    assert 'classes' not in entries_of(cells, [new, old], tmp_path)[1].row


def test_entry__raises():
    (entry,) = entries_of([({}, 'x')], [finished({}, 50.0, 'x')])
    with pytest.raises(DataError, match="run x: has no row 'CAM'; it has raw CAM, ARML. Name one"):
        entry.metrics('CAM')


def test_groups_of__the_seed_varies_within():
    groups = groups_of(omega_runs().entries)
    assert [group.values for group in groups] == [{'omega': value} for value in SCORES]
    assert [group.label for group in groups] == ['N/A', '1', '2', '∞']
    assert groups[2].scores('ARML', 'mIoU') == {0: 66.0, 1: 66.5, 2: 67.5}
    assert groups[2].scores('ARML', 'no such score') == {}


def test_groups_of__what_has_one_value_is_no_column():
    cells = [
        ({'a.alpha': a, 'b': b, 'epochs': 6, SEED: s}, f'{a}{b}{s}')
        for a in (0, 1) for b in ('x', 'y') for s in (0, 1)
    ]  # fmt: skip
    entries = entries_of(cells, [])
    assert varied(entries) == ['a.alpha', 'b']
    assert [group.label for group in groups_of(entries)][:2] == ['α = 0, b = x', 'α = 0, b = y']
    assert len(groups_of(entries)[0].entries) == 2


def test_scores__what_is_not_finite_has_no_value():
    lines = omega_lines({1: [50.0, 51.0, 52.0]})
    lines[0]['rows'][1]['metrics']['IoU.TUM'] = None
    lines[1]['rows'][1]['metrics']['IoU.TUM'] = float('nan')
    (group,) = groups_of(runs_of(omega_cells({1: [0, 0, 0]}), lines).entries)
    assert list(group.scores('ARML', 'IoU.TUM')) == [2]


def test_find_group__by_value_or_by_keys():
    groups = groups_of(omega_runs().entries)
    assert find_group(groups, 'drop').values == {'omega': 'drop'}
    assert find_group(groups, 'omega=2.0').values == {'omega': 2}
    for text in ('∞', '7', 'beta=1', 'omega=2,beta=1'):
        assert find_group(groups, text) is None
    cells = [({'a.alpha': a, 'b': b}, f'{a}{b}') for a in (0, 0.1) for b in ('x', 'y')]
    groups = groups_of(entries_of(cells, []))
    assert find_group(groups, 'alpha=1e-1, b=y').values == {'a.alpha': 0.1, 'b': 'y'}
    assert find_group(groups, 'a.alpha=0,b=x').values == {'a.alpha': 0, 'b': 'x'}
    assert find_group(groups, 'b=y') is None


def test_sweep__data_set_and_classes():
    runs = omega_runs()
    assert (runs.dataset, runs.classes) == ('synthetic', ['TUM', 'STR', 'LYM', 'NEC'])
    old = [{k: v for k, v in line.items() if k != 'classes'} for line in omega_lines()]
    assert omega_runs(lines=old).classes == ['TUM', 'STR', 'LYM', 'NEC']


def test_sweep__raises():
    bad = omega_runs(lines=[failed({}, '1-0', ['error: disk full'])], strangers=2)
    with pytest.raises(
        DataError,
        match='tiny: none of its 12 cells is finished.*Failed: error: disk full.*2 finished runs',
    ):
        _ = bad.dataset
    lines = omega_lines()
    lines[3]['dataset'] = 'EBHI'
    with pytest.raises(DataError, match='runs are of several dataset: synthetic and EBHI'):
        _ = omega_runs(lines=lines).dataset
    lines = omega_lines()
    lines[3]['classes'] = ['A', 'B']
    with pytest.raises(DataError, match='several classes: TUM, STR, LYM, NEC and A, B'):
        _ = omega_runs(lines=lines).classes
