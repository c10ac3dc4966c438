"""Whole reports: what they say of complete, incomplete, comparable and incomparable sweeps."""

import json
import math
import re

import pandas as pd
import pytest
from fake_ledger import (
    SCORES,
    failed,
    finished,
    omega_cells,
    omega_lines,
    omega_runs,
    runs_of,
    write_work,
)
from scipy import stats
from statsmodels.stats.multitest import multipletests

from arml.errors import ConfigError, DataError
from arml.report.grid_plots import Plots
from arml.report.options import ReportOptions
from arml.report.sweep_cells import SEED
from arml.report.sweep_report import write_report


@pytest.fixture
def no_plots(monkeypatch):
    """Reports without pictures, for tests of what they say."""
    monkeypatch.setattr('arml.report.grid_report.grid_plots', lambda *args: Plots())


def no_importance(runs):
    return None, 'not asked for'


def report(tmp_path, *sweeps, importance=no_importance, **options):
    """Write a report; its Markdown, its JSON and its parts."""
    out = tmp_path / 'out'
    parts = write_report(sweeps, ReportOptions(**options), out, 'the command', importance)
    text = (out / 'report.md').read_text(encoding='utf-8')
    return text, json.loads((out / 'report.json').read_text(encoding='utf-8')), parts


def test_report__json_holds_the_tests_as_scipy_and_statsmodels_give_them(no_plots, tmp_path):
    _, data, _ = report(tmp_path, omega_runs(), comparators=('none',))
    (sweep,) = data['sweeps']
    assert sweep['comparator'] == {'omega': 'none'}
    lines = {line['label']: line for line in sweep['lines']}
    assert lines['N/A']['tests'] == {}
    p = [
        stats.ttest_ind(SCORES[value], SCORES['none'], equal_var=False).pvalue
        for value in (1, 2, 'drop')
    ]
    found = [lines[label]['tests']['mIoU'] for label in ('1', '2', '∞')]
    assert [test['p'] for test in found] == pytest.approx(p)
    corrected = multipletests(p, method='holm')[1]
    assert [test['p_holm'] for test in found] == pytest.approx(list(corrected))
    assert lines['2']['tests']['IoU.TUM']['p'] == pytest.approx(p[1])
    assert lines['2']['scores']['mIoU']['mean'] == pytest.approx(200 / 3)
    assert [cell['metrics']['mIoU'] for cell in lines['2']['cells']] == SCORES[2]
    assert sweep['made_with']['commits'] == ['abcdef0123']


def test_report__files_and_page(tmp_path):
    text, data, (part,) = report(tmp_path, omega_runs())
    out = tmp_path / 'out'
    names = {file.name for file in out.iterdir()}
    assert names == {
        'report.md', 'report.html', 'report.json', 'tables.tex', 'tiny.csv', 'tiny.omega.png',
        'tiny.omega.svg',
    }  # fmt: skip
    assert {file.name for file in part.files} < names
    assert data['sweeps'][0]['plots'] == ['tiny.omega.png']
    page = (out / 'report.html').read_text(encoding='utf-8')
    assert 'src="data:image/png;base64,' in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert '<strong>66.67 ± 0.76</strong>' in page
    assert '![mIoU against ω](tiny.omega.png)' in text
    assert 'No line was named to compare with' in text
    assert 'Written by `the command`.' in text
    header, *rows = (out / 'tiny.csv').read_text().splitlines()
    assert header.startswith('omega,expected,failed,missing,IoU.TUM.n,IoU.TUM.mean,IoU.TUM.std,')
    assert len(rows) == 4


def test_report__missing_and_failed_cells_are_shown(no_plots, tmp_path):
    cells = omega_cells()
    lines = [line for line in omega_lines() if line['run'] not in ('2-1', 'drop-0', 'drop-1')]
    lines = [line for line in lines if not line['run'].startswith('1-')]
    lines += [failed(*cells[4], ['Traceback', 'error: a `pipe | in` it']), failed(*cells[7], [])]
    text, data, _ = report(tmp_path, runs_of(cells, lines), comparators=('none',))
    assert '12 cells: 6 finished, 4 missing, 2 failed.' in text
    table: dict = {}
    for row in text.splitlines():
        if row.startswith('|'):
            table.setdefault(row.split('|')[1].strip(), row.split('|')[2:])
    assert table['2'][0].strip() == '2 of 3'
    assert table['2'][5].strip() == '66.75 ± 1.06†'
    assert table['∞'][0].strip() == '1 of 3'
    assert table['∞'][5].strip() == '63.50'
    assert table['1'][0].strip() == '0 of 3'
    assert [cell.strip() for cell in table['1'][1:8]] == ['–'] * 7
    assert '**' not in ''.join(table['N/A']), 'one complete line alone is not the best'
    assert '- failed: `omega=1, randomness.seed=1` - `error: a ʼpipe | inʼ it`' in text
    assert '- failed: `omega=2, randomness.seed=1` - `exit 1, no log`' in text
    assert '- missing: `omega=drop, randomness.seed=0`\n' in text
    (sweep,) = data['sweeps']
    assert sweep['lines'][1]['scores']['mIoU'] == {'n': 0, 'expected': 3, 'mean': None, 'std': None}
    assert sweep['lines'][1]['cells'][1]['reason'] == 'error: a `pipe | in` it'
    assert sweep['lines'][3]['tests']['mIoU']['p'] is None
    latex = (tmp_path / 'out' / 'tables.tex').read_text(encoding='utf-8')
    assert (
        r'Without a result: $\omega$ = 1 (missing seed 0, 2; failed seed 1), $\omega$ = 2 (failed seed 1), '
        r'$\omega$ = $\infty$ (missing seed 0, 1).'
    ) in latex
    frame = pd.read_csv(tmp_path / 'out' / 'tiny.csv', index_col='omega', keep_default_na=False)
    assert frame.loc['1', ['expected', 'failed', 'missing']].tolist() == [3, 1, 2]
    assert frame.loc['2', ['expected', 'failed', 'missing']].tolist() == [3, 1, 0]


def test_report__a_class_without_a_score_says_its_own_n(no_plots, tmp_path):
    lines = omega_lines()
    lines[0]['rows'][1]['metrics']['IoU.NEC'] = None
    text, _, _ = report(tmp_path, omega_runs(lines=lines))
    assert '64.50 ± 0.71 (n=2 of 3)' in text


def test_report__one_seed_has_no_spread_and_no_test(no_plots, tmp_path):
    scores = {'none': [60.0], 2: [66.0]}
    text, data, _ = report(tmp_path, omega_runs(scores), comparators=('none',))
    row = next(line for line in text.splitlines() if line.startswith('| 2'))
    assert [cell.strip() for cell in row.split('|')[2:8]] == [
        '1', '**63.00**', '**65.00**', '**67.00**', '**69.00**', '**66.00**',
    ]  # fmt: skip
    assert '±' not in row
    assert '†' not in row
    assert 'No line could be tested against ω = N/A' in text
    assert data['sweeps'][0]['lines'][1]['tests']['mIoU']['p'] is None
    tested = [line for line in text.splitlines() if '1, 1' in line]
    assert '+6.00' in tested[0]
    assert tested[0].count('–') == 4


def test_report__the_dagger_follows_the_correction(no_plots, tmp_path):
    scores = {'none': [60.0, 61.0, 62.0], 1: [62.6, 63.6, 64.6], 2: [61.0, 62.0, 63.0]}
    raw = stats.ttest_ind(scores[1], scores['none'], equal_var=False).pvalue
    assert raw < 0.05 < 2 * raw
    runs = omega_runs(scores)
    text, _, _ = report(tmp_path, runs, comparators=('none',))
    assert '63.60 ± 1.00†' not in text
    assert 'Holm-corrected over the 2 lines' in text
    text, _, _ = report(tmp_path, runs, comparators=('none',), correction='none')
    assert '63.60 ± 1.00**†' in text
    assert 'not corrected for the number of lines' in text
    assert 'Few seeds: with n = 3' in text
    text, _, _ = report(tmp_path, omega_runs(), comparators=('omega=none',), test='paired')
    assert 'paired t-test over shared seeds' in text
    assert (
        'with 3 shared seeds a mean difference below 2.5 standard deviations of the differences'
        in text
    )


def paper_runs(dataset='BCSS-WSSS', **more):
    lines = omega_lines(dataset=dataset)
    return omega_runs(lines=lines, name='table3_omega', tag='table3', **more)


def test_report__the_papers_value_beside_ours(no_plots, tmp_path):
    text, data, _ = report(tmp_path, paper_runs())
    row = next(line for line in text.splitlines() if line.startswith('| 2'))
    cells = [cell.strip() for cell in row.split('|')[1:-1]]
    assert cells[-2:] == ['70.56', '−3.89']
    assert '### Beside Table 3 of the paper' in text
    assert re.search(
        r'\| N/A +\| N/A +\| mIoU +\| +3 \| +61.00 ± 1.00 \| +67.97 \| +−6.97 \|', text
    )
    assert 'N/A equals the row of Table 2 with ARS alone' in text
    (sweep,) = data['sweeps']
    values = {each['label']: each for each in sweep['paper']['values']}
    assert values['∞']['paper'] == 69.69
    assert values['∞']['difference'] == pytest.approx(62 - 69.69)
    assert sweep['paper']['not_comparable'] == ''
    assert 'Mining Gold from the Sand' in sweep['paper']['source']
    latex = (tmp_path / 'out' / 'tables.tex').read_text(encoding='utf-8')
    assert '70.56' in latex
    assert '$-$3.89' in latex
    frame = pd.read_csv(tmp_path / 'out' / 'table3_omega.csv', index_col='omega')
    assert frame.loc['2', ['paper.mIoU', 'difference.mIoU']].tolist() == pytest.approx(
        [70.56, 200 / 3 - 70.56]
    )


def test_report__other_data_have_only_differences(no_plots, tmp_path):
    text, data, _ = report(tmp_path, paper_runs('EBHI'), comparators=('none',))
    assert 'Values are not comparable: another data set (ours EBHI, the paper BCSS-WSSS)' in text
    assert 'paper mIoU' not in text
    assert '70.56' not in text.replace('68.76', '')
    assert re.search(r'\| 2 +\| 2 +\| +66.67 ± 0.76 \| +\+5.67 \| +\+2.59 \|', text)
    found = {each['label']: each for each in data['sweeps'][0]['paper']['differences']}
    assert found['2']['paper_difference'] == pytest.approx(70.56 - 67.97)
    assert found['N/A']['difference'] == 0


@pytest.mark.parametrize(
    ('options', 'why'),
    [
        ({'rows': ('raw CAM',)}, 'another result \\(ours raw CAM'),
        ({'protocol': 'B'}, 'another protocol \\(ours B, the paper A'),
    ],
)
def test_report__other_results_do_not_stand_beside_the_paper(no_plots, tmp_path, options, why):
    text, data, _ = report(tmp_path, paper_runs(), **options)
    assert re.search(why, text)
    assert 'paper mIoU' not in text
    assert 'values' not in data['sweeps'][0]['paper']


def test_report__table_1_by_its_backbone_and_with_the_papers_n(no_plots, tmp_path):
    cells = [
        ({'backbone': name, SEED: seed}, f'{name}-{seed}')
        for name in ('resnest101', 'resnet38') for seed in (0, 1)
    ]  # fmt: skip
    lines = [finished(p, 69.0 + p[SEED], run, dataset='BCSS-WSSS') for p, run in cells]
    runs = runs_of(cells, lines, name='table1_arml', tag='table1')
    text, data, _ = report(tmp_path, runs, paper_n=3)
    values = data['sweeps'][0]['paper']['values']
    assert len(values) == 2 * 7
    by_score = {each['score']: each for each in values if each['label'] == 'resnest101'}
    assert by_score['IoU.TUM']['paper'] == 79.20
    assert by_score['IoU.TUM']['test'] is None
    expected = stats.ttest_ind_from_stats(69.5, math.sqrt(0.5), 2, 70.56, 0.19, 3, equal_var=False)
    assert by_score['mIoU']['test']['p'] == pytest.approx(expected.pvalue)
    assert 'with n = 3, as given by --paper-n' in text
    assert '70.56 ± 0.19' in text
    assert 'HistoSegNet IoU.TUM 33.14' in text


def test_report__alpha_beta_is_a_heat_map(tmp_path):
    cells = [
        ({'model.srm.alpha': a, 'model.srm.beta': b, 'epochs': 2, SEED: s}, f'{a}-{b}-{s}')
        for a in (0, 30) for b in (0, 60) for s in (0, 1)
    ]  # fmt: skip
    lines = [finished(p, 60.0 + i, run) for i, (p, run) in enumerate(cells)]
    text, data, _ = report(tmp_path, runs_of(cells, lines), comparators=('alpha=0,beta=0',))
    assert data['sweeps'][0]['plots'] == ['tiny.heat_map.png']
    assert '| α   | β   |   n |' in text
    assert 'The same in all cells: `epochs=2`.' in text
    assert '### Against α = 0, β = 0' in text


def test_report__with_work_dirs_it_has_curves_and_tiles(tmp_path):
    lines = omega_lines()
    for line in lines:
        write_work(tmp_path / line['run'], line, f'seed {line["seed"]}')
    (tmp_path / '2-1' / 'segmentor' / 'history.jsonl').unlink()
    text, data, (part,) = report(tmp_path, omega_runs(lines=lines))
    assert data['sweeps'][0]['plots'] == [
        'tiny.omega.png', 'tiny.curves.png', 'tiny.tiles.png',
    ]  # fmt: skip
    assert '![Training curves](tiny.curves.png)' in text
    assert '![Test tiles](tiny.tiles.png)' in text
    (remark,) = part.remarks
    assert '2-1/segmentor/history.jsonl' in remark
    _, data, _ = report(tmp_path, omega_runs(lines=lines), tiles=False)
    assert data['sweeps'][0]['plots'] == ['tiny.omega.png', 'tiny.curves.png']


def test_report__what_runs_do_not_share_is_said(no_plots, tmp_path):
    lines = omega_lines()
    lines[0] |= {'commit': '1234567890', 'versions': {'torch': '2.12.0'}}
    lines[0] |= {'processor': 'B, AVX2'}
    lines[1] |= {'processor': None}
    lines[2] |= {'stages': {'classifier': {'key': 'k', 'commit': '7654321000', 'processor': 'C'}}}
    lines[0] |= {'data': {'segmentor': {'train_dataloader': 'bb'}}}
    runs = omega_runs(lines=lines)
    text, _, _ = report(tmp_path, runs_of(omega_cells(), lines, strangers=3))
    assert 'commit `1234567`, `abcdef0`, with products of `7654321`;' in text
    assert 'The runs are of several commits' in text
    assert 'several versions of torch' in text
    assert 'several processors** (B, AVX2; one that was not noted; A, AVX512; C)' in text
    differ = '**The runs differ in the data of segmentor.train_dataloader** (their fingerprints)'
    assert f'{differ}: N/A from the others.' in text
    assert 'The ledger has 3 finished runs more' in text
    assert runs.strangers == 0
    lines = omega_lines()
    lines[2] |= {'stages': {'classifier': {'key': 'k', 'commit': '7654321000'}}}
    text, _, _ = report(tmp_path, omega_runs(lines=lines))
    assert 'The runs are of several commits' in text
    assert 'several processors' not in text
    assert 'of several commits' not in report(tmp_path, omega_runs())[0]
    halves = omega_lines()
    for line in halves[::2]:
        line['data'] = {'segmentor': {'train_dataloader': 'bb'}}
    assert f'{differ}.' in report(tmp_path, omega_runs(lines=halves))[0]
    lacking = omega_lines()
    lacking[0]['data'] = {'segmentor': {'train_dataloader': 'bb'}}
    for line in lacking[3:6]:  # without that stage
        line['data'] = {}
    assert f'{differ}: N/A from the others.' in report(tmp_path, omega_runs(lines=lacking))[0]


def search_runs(count=12, **more):
    cells, lines = [], []
    for index in range(count):
        parameters = {'omega': 1 + index / 2, 'model.lambda_': 0.1 * (index % 3), SEED: 0}
        cells.append((parameters, f't{index}'))
        lines.append(finished(parameters, 50.0 + (index * 7) % count, f't{index}'))
    cells.append(({'omega': 9.0, 'model.lambda_': 0.5, SEED: 0}, 'p'))
    lines.append({**failed({}, 'p'), 'status': 'pruned'})
    given = {'method': 'bayes', 'metric': 'segmentor/val/mIoU', 'name': 'search', **more}
    return runs_of(cells, lines, **given)


def test_report__a_search_is_ranked_by_validation(tmp_path):
    runs = search_runs()
    lines = runs.entries
    lines[5].row['rows'][1]['metrics']['mIoU'] = 99.0  # the test split chooses nothing
    shares = {'omega': 0.75, 'model.lambda_': 0.25}
    text, data, _ = report(tmp_path, runs, importance=lambda runs: (shares, 'PED-ANOVA'))
    (sweep,) = data['sweeps']
    values = [trial['validation'] for trial in sweep['trials']]
    assert values == sorted(values, reverse=True)
    assert values[0] == 62
    assert sweep['importance'] == shares
    assert sweep['plots'] == ['search.importance.png', 'search.slices.png']
    assert '13 cells: 12 finished, 1 pruned.' in text
    assert 'chose nothing' in text
    assert text.count('\n|') == 2 + 10
    assert 'Failed trials' not in text
    latex = (tmp_path / 'out' / 'tables.tex').read_text(encoding='utf-8')
    assert 'segmentor/val/mIoU' in latex
    _, data, (part,) = report(tmp_path, search_runs(goal='minimize'))
    assert data['sweeps'][0]['trials'][0]['validation'] == 51
    assert part.remarks == ['search: no importances: not asked for']


def test_report__a_search_led_by_the_test_split_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="found 'test/mIoU', expected <stage>/val/<score>"):
        report(tmp_path, search_runs(metric='test/mIoU'))
    with pytest.raises(
        DataError,
        match='run t0: neither its line nor its history has a validation score .* of other',
    ):
        report(tmp_path, search_runs(metric='other/val/mIoU'))


def test_report__a_search_by_another_score_is_read_from_the_histories(tmp_path):
    runs = search_runs(4, metric='segmentor/val/mDice')
    for index, entry in enumerate(runs.finished):
        (tmp_path / f'{index}').mkdir()
        rows = [{'epoch': e, 'kind': 'val', 'mDice': 60.0 + index - e} for e in (1, 2)]
        text = ''.join(json.dumps(row) + '\n' for row in rows)
        (tmp_path / f'{index}' / 'history.jsonl').write_text(text)
        entry.row['work_dir'] = str(tmp_path)
        entry.row['histories'] = {'segmentor': f'{index}/history.jsonl'}
    _, data, _ = report(tmp_path, runs)
    assert [trial['validation'] for trial in data['sweeps'][0]['trials']] == [62, 61, 60, 59]


def test_report__several_sweeps(no_plots, tmp_path):
    text, data, _ = report(
        tmp_path, omega_runs(), paper_runs(), search_runs(), comparators=('drop',)
    )
    assert [sweep['sweep'] for sweep in data['sweeps']] == ['tiny', 'table3_omega', 'search']
    assert text.count('### Against ω = ∞') == 2
    latex = (tmp_path / 'out' / 'tables.tex').read_text(encoding='utf-8')
    assert latex.count('\\toprule') == 3
    assert latex.count('\\begin{table}') == latex.count('\\end{table}') == 3


def test_report__raises(no_plots, tmp_path):
    with pytest.raises(
        ConfigError, match="--comparator: found '7', expected one line .*omega=none, omega=1"
    ):
        report(tmp_path, omega_runs(), comparators=('7',))
    with pytest.raises(ConfigError, match='found none and drop, both lines of the sweep tiny'):
        report(tmp_path, omega_runs(), comparators=('none', 'drop'))
    with pytest.raises(ConfigError, match='found 2 sweeps named tiny'):
        report(tmp_path, omega_runs(), omega_runs())
    with pytest.raises(
        ConfigError,
        match="--metric: found 'Dice', but segmentor has under protocol A mIoU, mDice, ACC",
    ):
        report(tmp_path, omega_runs(), metric='Dice')
    with pytest.raises(DataError, match="has no row 'CAM'"):
        report(tmp_path, omega_runs(), rows=('CAM',))
    with pytest.raises(DataError, match='none of its 12 cells is finished'):
        report(tmp_path, omega_runs(lines=[]))


def test_report__five_hundred_cells_in_seconds(tmp_path):
    import time

    scores = {value: [50.0 + value / 100 + seed for seed in range(5)] for value in range(100)}
    runs = omega_runs(scores)
    began = time.perf_counter()
    _, data, (part,) = report(tmp_path, runs, comparators=('0',))
    assert time.perf_counter() - began < 20
    assert len(data['sweeps'][0]['lines']) == 100
    assert part.remarks[0] == 'tiny: 100 lines are too many for a plot (at most 60)'
