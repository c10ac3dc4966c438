"""Table 1: the best method of a column against the best other one, upper bounds aside, each map once."""

import pytest
from fake_ledger import finished, runs_of
from scipy import stats
from statsmodels.stats.multitest import multipletests

from arml.report.comparators import BEST_OTHER
from arml.report.grid_report import grid_report
from arml.report.options import ReportOptions

#: mIoU of the segmentors over three seeds. The maps have 5 less, so the best map is below every segmentor.
SCORES = {
    'arml': [66.0, 66.5, 67.5], 'cam': [58.0, 58.5, 60.0], 'pspnet': [60.0, 61.0, 62.0],
    'full': [90.0, 91.0, 92.0],
}  # fmt: skip
#: The classifier that each method reads; full supervision has no maps.
CLASSIFIERS = {'arml': 'ars', 'cam': 'plain', 'pspnet': 'ars'}
BOTH = ('segmentor', 'maps')


def methods(scores=SCORES, classifiers=CLASSIFIERS, **more):
    cells, lines = [], []
    for method, found in scores.items():
        for seed, score in enumerate(found):
            parameters, run = {'method': method, 'randomness.seed': seed}, f'{method}-{seed}'
            cells.append((parameters, run))
            if score is None:
                continue
            line = finished(parameters, score, run)
            maps, final = line['rows']
            line['rows'] = [{**final, 'name': method, 'stage': 'test'}]
            if method in classifiers:
                line['rows'].insert(0, {**maps, 'stage': 'cam_test'})
                line['stages'] = {'cam_test': {'key': f'{classifiers[method]}-{seed}'}}
            lines.append(line)
    bounds = {'method': frozenset({'full'})}
    return runs_of(cells, lines, **{'upper_bounds': bounds, **more})


@pytest.fixture
def report(tmp_path, monkeypatch):
    from arml.report.grid_plots import Plots

    monkeypatch.setattr('arml.report.grid_report.grid_plots', lambda *args: Plots())

    def made(runs, **options):
        return grid_report(runs, ReportOptions(comparators=(BEST_OTHER,), **options), tmp_path)

    return made


def rows(text):
    """The first table of a report: cells by the label of the line."""
    found = {}
    for line in text[text.index('\n|') :].lstrip().split('\n\n')[0].splitlines()[2:]:
        first, *cells = (cell.strip() for cell in line.split('|')[1:-1])
        found.setdefault(first, cells)
    return found


def test_best_other__every_column_is_tested_and_corrected_over_the_columns(report):
    arml, others = SCORES['arml'], [62.5, 64.0, 65.0]
    made = report(methods(SCORES | {'pspnet': others}))
    p = stats.ttest_ind(arml, others, equal_var=False).pvalue
    pairs = made.data['pairs']
    assert [pair['score'] for pair in pairs] == [
        'IoU.TUM', 'IoU.STR', 'IoU.LYM', 'IoU.NEC', 'mIoU', 'mDice', 'ACC',
    ]  # fmt: skip
    assert {(pair['best'], pair['other']) for pair in pairs} == {('arml', 'pspnet')}
    assert [pair['test']['p'] for pair in pairs] == pytest.approx([p] * 7)
    corrected = multipletests([p] * 7, method='holm')[1]
    assert [pair['test']['p_holm'] for pair in pairs] == pytest.approx(list(corrected))
    assert p < 0.05 < corrected[0]
    assert '†' not in ''.join(rows(made.markdown)['arml'])
    assert 'Holm-corrected over the 7 columns' in made.markdown
    assert made.data['comparator'] == BEST_OTHER
    raw = report(methods(SCORES | {'pspnet': others}), correction='none')
    assert [cell[-1] for cell in rows(raw.markdown)['arml'][1:]] == ['†'] * 7
    assert '†' not in ''.join(rows(raw.markdown)['pspnet'])


def test_best_other__an_upper_bound_is_shown_and_does_not_compete(report):
    made = report(methods())
    found = rows(made.markdown)
    assert '91.00 ± 1.00' in found['full']
    assert not set('*†') & set(''.join(found['full']))
    assert all(cell.endswith('**†') for cell in found['arml'][1:])
    assert 'Upper bounds, which compete neither for bold nor for †: full.' in made.markdown
    assert '### The best method of each column against the best of the others' in made.markdown
    bound = report(methods(upper_bounds={}))
    assert {pair['best'] for pair in bound.data['pairs']} == {'full'}


def test_comparator__an_upper_bound_is_in_no_family_of_tests(report, tmp_path):
    made = grid_report(methods(), ReportOptions(comparators=('arml',)), tmp_path)
    tests = {line['label']: line['tests'] for line in made.data['lines']}
    assert tests['full'] == tests['arml'] == {}
    p = [
        stats.ttest_ind(SCORES[m], SCORES['arml'], equal_var=False).pvalue
        for m in ('cam', 'pspnet')
    ]
    corrected = multipletests(p, method='holm')[1]
    assert [tests[m]['mIoU']['p_holm'] for m in ('cam', 'pspnet')] == pytest.approx(list(corrected))


def test_best_other__is_another_method_and_not_another_result(report):
    """The maps of the best method are no other method; those of another one are."""
    made = report(methods({'arml': [66.0, 66.5], 'cam': [60.0, 61.0]}), rows=BOTH)
    assert {(pair['best'], pair['other']) for pair in made.data['pairs']} == {
        ('arml, segmentor', 'cam, segmentor')
    }
    alone = report(methods({'arml': [66.0, 66.5], 'full': [90.0, 91.0]}), rows=BOTH)
    assert alone.data['pairs'] == []
    assert 'No column has two methods with all their seeds.' in alone.markdown


def test_best_other__is_no_variant_of_the_best(report):
    variants = {'method': {'cam': 'arml'}}
    scores = {'arml': [66.0, 66.5], 'cam': [64.0, 65.0], 'oeem': [60.0, 61.0]}
    made = report(methods(scores, variants=variants))
    assert {(pair['best'], pair['other']) for pair in made.data['pairs']} == {('arml', 'oeem')}
    assert 'Variants of a method are not its rivals: cam (of arml).' in made.markdown
    swapped = {'arml': [64.0, 65.0], 'cam': [66.0, 66.5], 'oeem': [60.0, 61.0]}
    both = report(methods(swapped, variants=variants), rows=BOTH)
    assert {(pair['best'], pair['other']) for pair in both.data['pairs']} == {
        ('cam, segmentor', 'oeem, segmentor')
    }


def test_best_other__a_line_without_all_its_seeds_is_neither(report):
    made = report(methods(SCORES | {'arml': [66.0, None, 67.0]}))
    assert {(pair['best'], pair['other']) for pair in made.data['pairs']} == {('pspnet', 'cam')}


def test_maps__of_one_classifier_are_one_line(report):
    made = report(methods(), rows=BOTH)
    labels = [tuple(line['values'].values()) for line in made.data['lines']]
    assert labels == [
        ('arml', 'segmentor'), ('arml', 'maps'), ('cam', 'segmentor'), ('cam', 'maps'),
        ('pspnet', 'segmentor'), ('full', 'segmentor'),
    ]  # fmt: skip
    assert made.markdown.count('Maps are printed once') == 1
    assert 'Maps are printed once: those of arml are those of pspnet, too.' in made.markdown
    # Nothing says whose maps they are, or one of them is a product of its own.
    for runs in (
        methods(classifiers={}),
        methods(classifiers={**CLASSIFIERS, 'pspnet': 'its own'}),
    ):
        results = [line['values']['result'] for line in report(runs, rows=BOTH).data['lines']]
        assert results.count('maps') == (3 if runs.entries[0].row['stages'] else 0)


def test_best_other__of_two_equal_ones_both_are_bold_and_neither_has_a_dagger(report):
    equal = [60.0, 61.0, 62.0]
    made = report(methods({'arml': equal, 'pspnet': equal}))
    found = rows(made.markdown)
    assert found['arml'] == found['pspnet']
    assert '**61.00 ± 1.00**' in found['arml']
    assert '†' not in ''.join(found['arml'])
