"""The table of a sweep, word for word, from a ledger of twelve runs."""

import math

import pytest
from fake_ledger import finished, omega_lines, omega_runs, runs_of

from arml.report.labels import assignment, label_of, latex_escape, markdown_escape, plural
from arml.report.scores_table import latex, markdown, scores_table, signed, wide_frame
from arml.report.sweep_cells import SEED, find_group, groups_of, varied

CLASSES = ['TUM', 'STR', 'LYM', 'NEC']


def table_of(runs, comparator='none', classes=CLASSES, **options):
    groups = groups_of(runs.entries)
    against = find_group(groups, comparator) if comparator else None
    return scores_table(
        groups, varied(runs.entries), classes, 'ARML', comparator=against, **options
    )


def test_markdown__golden():
    assert markdown(table_of(omega_runs())).splitlines() == [
        '| ω   |   n |              TUM |              STR |              LYM |              NEC |'
        '              mIoU |             Dice |              ACC |',
        '|:----|----:|-----------------:|-----------------:|-----------------:|-----------------:|'
        '------------------:|-----------------:|-----------------:|',
        '| N/A |   3 |     58.00 ± 1.00 |     60.00 ± 1.00 |     62.00 ± 1.00 |     64.00 ± 1.00 |'
        '      61.00 ± 1.00 |     73.00 ± 1.00 |     76.00 ± 1.00 |',
        '| 1   |   3 |     58.83 ± 0.76 |     60.83 ± 0.76 |     62.83 ± 0.76 |     64.83 ± 0.76 |'
        '      61.83 ± 0.76 |     73.83 ± 0.76 |     76.83 ± 0.76 |',
        '| 2   |   3 | **63.67 ± 0.76** | **65.67 ± 0.76** | **67.67 ± 0.76** | **69.67 ± 0.76** |'
        ' **66.67 ± 0.76**† | **78.67 ± 0.76** | **81.67 ± 0.76** |',
        '| ∞   |   3 |     59.00 ± 1.32 |     61.00 ± 1.32 |     63.00 ± 1.32 |     65.00 ± 1.32 |'
        '      62.00 ± 1.32 |     74.00 ± 1.32 |     77.00 ± 1.32 |',
    ]


def test_latex__golden():
    note = '† differs: p < 0.05'
    text = latex(table_of(omega_runs()), 'omega, 100 % synthetic', 'tab:omega', [note])
    assert text.splitlines() == [
        r'\begin{table}[t]',
        r'\caption{omega, 100 \% synthetic}',
        r'\label{tab:omega}',
        r'\begin{tabular}{lrrrrrrrr}',
        r'\toprule',
        r'$\omega$ & n & TUM & STR & LYM & NEC & mIoU & Dice & ACC \\',
        r'\midrule',
        r'N/A & 3 & $58.00 \pm 1.00$ & $60.00 \pm 1.00$ & $62.00 \pm 1.00$ & $64.00 \pm 1.00$ & '
        r'$61.00 \pm 1.00$ & $73.00 \pm 1.00$ & $76.00 \pm 1.00$ \\',
        r'1 & 3 & $58.83 \pm 0.76$ & $60.83 \pm 0.76$ & $62.83 \pm 0.76$ & $64.83 \pm 0.76$ & '
        r'$61.83 \pm 0.76$ & $73.83 \pm 0.76$ & $76.83 \pm 0.76$ \\',
        r'2 & 3 & $\mathbf{63.67} \pm 0.76$ & $\mathbf{65.67} \pm 0.76$ & $\mathbf{67.67} \pm 0.76$ & '
        r'$\mathbf{69.67} \pm 0.76$ & $\mathbf{66.67} \pm 0.76^\dagger$ & $\mathbf{78.67} \pm 0.76$ & '
        r'$\mathbf{81.67} \pm 0.76$ \\',
        r'$\infty$ & 3 & $59.00 \pm 1.32$ & $61.00 \pm 1.32$ & $63.00 \pm 1.32$ & $65.00 \pm 1.32$ & '
        r'$62.00 \pm 1.32$ & $74.00 \pm 1.32$ & $77.00 \pm 1.32$ \\',
        r'\bottomrule',
        r'\end{tabular}',
        r'\par\footnotesize $^\dagger$ differs: p $<$ 0.05',
        r'\end{table}',
    ]


def test_markdown__a_line_without_all_seeds_says_so_and_is_never_the_best():
    lines = [line for line in omega_lines() if line['run'] != '2-1']
    table = markdown(table_of(omega_runs(lines=lines), protocol='B', correction='none'))
    two, infinity = table.splitlines()[-2:]
    assert two == (
        '| 2   | 2 of 3 |     59.75 ± 1.06 |     61.75 ± 1.06 |     63.75 ± 1.06 |     65.75 ± 1.06 |'
        '    62.75 ± 1.06† |     74.75 ± 1.06 |     77.75 ± 1.06 |'
    )
    assert '**58.00 ± 1.32**' in infinity


def test_latex__missing_and_single_seeds():
    runs = omega_runs({'none': [60.0], 2: [66.0], 'drop': [None]})
    text = latex(table_of(runs), 'x', 'tab:x')
    assert 'N/A & 1 & $57.00$ &' in text
    assert r'2 & 1 & $\mathbf{63.00}$ &' in text
    assert r'$\infty$ & 0 of 1 & -- & -- &' in text


def test_markdown__several_parameters_and_none():
    cells = [
        ({'a.alpha': a, 'kind': b, SEED: s}, f'{a}{b}{s}')
        for a in (0, 1) for b in ('x_y', 'z|') for s in (0, 1)
    ]  # fmt: skip
    lines = [finished(p, 60.0, run) for p, run in cells]
    table = markdown(table_of(runs_of(cells, lines), 'alpha=0,kind=x_y')).splitlines()
    assert table[0].startswith('| α   | kind   |   n |')
    assert table[3].startswith(r'| 0   | z\|    |   2 |')
    assert table[1].startswith('|:----|:-------|----:|')
    cells = [({SEED: s}, str(s)) for s in (0, 1)]
    runs = runs_of(cells, [finished(p, 60.0 + p[SEED], run) for p, run in cells])
    only = markdown(table_of(runs, None)).splitlines()
    assert only[2].startswith('| all |   2 |')
    assert '**' not in only[2]


def test_scores_table__a_class_named_like_a_column_and_another_metric():
    lines = omega_lines(classes=['n', 'ω'])
    table = table_of(omega_runs(lines=lines), classes=['n', 'ω'], metric='FwIoU')
    assert table.titles == ['n', 'ω', 'mIoU', 'Dice', 'ACC', 'FwIoU']
    two = next(line for line in markdown(table).splitlines() if line.startswith('| 2'))
    assert [cell.strip() for cell in two.split('|')[-3:-1]] == [
        '**81.67 ± 0.76**',
        '**68.67 ± 0.76**†',
    ]


def test_wide_frame__numbers():
    frame = wide_frame(table_of(omega_runs())).set_index('omega')
    assert list(frame['expected']) == [3, 3, 3, 3]
    assert frame.loc[2, 'mIoU.mean'] == pytest.approx(200 / 3)
    assert frame.loc[2, 'mIoU.p'] < frame.loc[2, 'mIoU.p_holm'] < 0.05
    assert math.isnan(frame.loc['none', 'mIoU.p'])


def test_signed__nothing_is_neither_plus_nor_minus():
    assert [signed(x) for x in (1.234, -0.5, -0.001, 0.0, math.nan)] == [
        '+1.23', '−0.50', '0.00', '0.00', '–',
    ]  # fmt: skip


def test_labels__symbols_words_and_escapes():
    assert label_of({'model.swv.omega': 'drop'}) == '∞'
    assert label_of({'relation': 'none'}) == 'none'
    assert assignment({'relation': 'none'}) == 'relation = none'
    assert assignment({}) == label_of({}) == 'all'
    assert (
        markdown_escape('a_b _c_ *d* <e> `f` g|h\n[i]') == r'a_b \_c\_ \*d\* \<e> \`f\` g\|h \[i\]'
    )
    assert latex_escape('a_b & 5 % of λ ± {x} ~ ^ \\ #$') == (
        r'a\_b \& 5 \% of $\lambda$ $\pm$ \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \#\$'
    )
    assert (plural(1, 'cell'), plural(2, 'cell')) == ('1 cell', '2 cells')
