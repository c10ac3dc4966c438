"""tools/report.py: from sweep files and ledgers to a folder, and what a user may do wrong."""

import json
from pathlib import Path

import pytest
from conftest import ROOT
from fake_ledger import failed, finished
from tiny_run import CONFIG

from arml.ablation import Ledger, cell_of, cells_of, read_sweep
from arml.cli import run_tool
from tools import report

GRID = """
program: {program}
method: grid
metric: {{name: test/mIoU, goal: maximize}}
parameters:
  model.lambda_: {{values: [0, 1e-1, 2]}}
  randomness.seed: {{values: [0, 1]}}
command: [python, '${{program}}', {config}, --cfg-options, '${{args_no_hyphens}}']
"""
SEARCH = """
program: {program}
method: bayes
run_cap: 20
metric: {{name: segmentor/val/mIoU, goal: maximize}}
parameters:
  model.lambda_: {{distribution: uniform, min: 0.0, max: 1.0}}
  model.swv.omega: {{distribution: log_uniform_values, min: 1.0, max: 8.0}}
command: [python, '${{program}}', {config}, --cfg-options, '${{args_no_hyphens}}']
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with a grid and a search."""
    monkeypatch.chdir(tmp_path)
    for name, text in (('grid', GRID), ('search', SEARCH)):
        filled = text.format(program=ROOT / 'tools' / 'train.py', config=CONFIG)
        (tmp_path / f'{name}.yaml').write_text(filled)
    return tmp_path


def call(*words):
    """Run the tool on data and a store in the working directory; its status."""
    return run_tool(lambda: report.main([*words, '--cfg-options', 'data_root=data', 'store=store']))


def fill_grid(ledger, leave_out=(), fail=()):
    """Lines for the cells of the grid, the score is 50 + 10 lambda + seed."""
    cells = cells_of(read_sweep('grid.yaml'), ['data_root=data', 'store=store'])
    for cell in cells:
        values = cell.parameters['model.lambda_'], cell.parameters['randomness.seed']
        if values in fail:
            Ledger(ledger).add(failed(cell.parameters, cell.run))
        elif values not in leave_out:
            score = 50 + 10 * values[0] + values[1]
            Ledger(ledger).add(finished(cell.parameters, score, cell.run))


def test_report__a_grid_from_its_ledger(place, fake_tissue, capsys):
    fill_grid('work_dirs/sweeps/grid/ledger.jsonl', fail=[(2, 1)], leave_out=[(0.1, 0)])
    assert call('grid.yaml', '--comparator', '0') == 0
    out = capsys.readouterr()
    assert 'work_dirs/report: report.md, report.html, report.json, tables.tex, grid.csv' in out.out
    folder = Path('work_dirs/report')
    data = json.loads((folder / 'report.json').read_text())
    assert data['command'].startswith('python tools/report.py grid.yaml --comparator 0')
    labels = [line['label'] for line in data['sweeps'][0]['lines']]
    assert labels == ['0', '0.1', '2']
    counts = [line['scores']['mIoU'] for line in data['sweeps'][0]['lines']]
    assert [(each['n'], each['expected']) for each in counts] == [(2, 2), (1, 2), (1, 2)]
    text = (folder / 'report.md').read_text()
    assert '- failed: `model.lambda_=2, randomness.seed=1` - `RuntimeError: out of memory`' in text
    assert '- missing: `model.lambda_=0.1, randomness.seed=0`' in text


def test_report__an_upper_bound_is_what_the_config_says(place, fake_tissue):
    files = f"method_configs = dict(arml='{CONFIG}', full='{CONFIG.with_name('short.py')}')"
    Path('rows.py').write_text(f"{files}\nmethod = 'arml'\nmethod_upper_bounds = ['full']\n")
    text = Path('grid.yaml').read_text().replace(str(CONFIG), 'rows.py')
    Path('rows.yaml').write_text(
        text.replace('model.lambda_: {values: [0, 1e-1, 2]}', 'method: {values: [arml, full]}')
    )
    runs, _ = report.read_runs('rows.yaml', None, ['data_root=data', 'store=store'])
    assert [runs.is_upper_bound(entry.parameters) for entry in runs.entries] == [False] * 2 + [
        True
    ] * 2
    grid, _ = report.read_runs('grid.yaml', None, ['data_root=data', 'store=store'])
    assert not any(grid.is_upper_bound(entry.parameters) for entry in grid.entries)


def test_report__a_search_with_importances(place, fake_tissue, capsys):
    ledger = Ledger('kept.jsonl')
    for index in range(15):
        omega, lambda_ = 1 + index / 3, (index * 7 % 15) / 15
        parameters = {'model.lambda_': lambda_, 'model.swv.omega': omega}
        cell = cell_of(read_sweep('search.yaml'), parameters, ['data_root=data', 'store=store'])
        ledger.add(finished(parameters, 50 + 10 * lambda_, cell.run))
    # The best of all, but of another config: it is no trial of this search.
    ledger.add(finished({'model.lambda_': 0.5, 'model.swv.omega': 2.0}, 99.0, 'strange'))
    assert call('search.yaml', '--ledger', 'kept.jsonl', '--out', 'out') == 0
    (sweep,) = json.loads(Path('out/report.json').read_text())['sweeps']
    assert sweep['importance']['model.lambda_'] > 0.6
    assert sum(sweep['importance'].values()) == pytest.approx(1)
    assert sweep['importance_by'] == 'PED-ANOVA'
    assert sweep['trials'][0]['values']['model.lambda_'] == pytest.approx(14 / 15)
    assert len(sweep['trials']) == 15
    assert Path('out/search.importance.png').is_file()
    assert '1 finished run' in Path('out/report.md').read_text()


def test_report__errors(place, fake_tissue, capsys):
    assert call('grid.yaml') == 2
    assert 'none of its 6 cells is finished; run it first' in capsys.readouterr().err
    fill_grid('ledger.jsonl')
    given = ('grid.yaml', '--ledger', 'ledger.jsonl')
    assert call(*given, '--comparator', 'none') == 2
    error = capsys.readouterr().err
    assert "found 'none', expected one line of a sweep" in error
    assert 'model.lambda_=0, model.lambda_=0.1, model.lambda_=2' in error
    assert call(*given, '--row', 'CAM') == 2
    assert (
        "has no row 'CAM'; it has raw CAM, ARML. Name one of them: --row" in capsys.readouterr().err
    )
    assert call('nowhere.yaml') == 2
    Path('file').touch()
    assert call(*given, '--out', 'file') == 2
    assert 'cannot write file/' in capsys.readouterr().err
    for words, message in (
        (['a.yaml', 'b.yaml', '--ledger', 'x'], 'found 1, expected one for each of the 2 sweeps'),
        (['a.yaml', '--paper-n', '1'], 'found 1, expected at least 2'),
    ):
        with pytest.raises(SystemExit, match='2'):
            report.parse_args(words)
        assert message in capsys.readouterr().err


def test_report__help(capsys):
    with pytest.raises(SystemExit, match='0'):
        report.parse_args(['--help'])
    text = capsys.readouterr().out
    assert 'example: python tools/report.py' in text
    assert '(default: welch)' in text
