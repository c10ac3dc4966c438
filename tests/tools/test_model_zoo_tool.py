"""tools/analysis_tools/model_zoo.py: which lines count, and what is said of the others."""

from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from fake_ledger import failed, finished
from tiny_run import CONFIG

from arml.ablation import Ledger, cells_of, read_sweep
from arml.cli import run_tool
from tools.analysis_tools import model_zoo

PLACES = ['data_root=data', 'store=store']
GRID = f"""
program: {ROOT / 'tools' / 'train.py'}
method: grid
metric: {{name: test/mIoU, goal: maximize}}
parameters:
  model.lambda_: {{values: [LAMBDA, 0.9]}}
  randomness.seed: {{values: [0, 1]}}
command: [python, '${{program}}', shipped.py, --cfg-options, '${{args_no_hyphens}}']
"""


@pytest.fixture
def ledger(tmp_path, monkeypatch, fake_tissue):
    """Runs of a sweep in which one value of lambda is that of the config."""
    monkeypatch.chdir(tmp_path)
    Path('shipped.py').write_text(f"_base_ = ['{CONFIG}']\n")
    from arml.config import load_config

    shipped = load_config('shipped.py').model.lambda_
    Path('grid.yaml').write_text(GRID.replace('LAMBDA', str(shipped)))
    kept = Ledger('kept.jsonl')
    for cell in cells_of(read_sweep('grid.yaml'), PLACES):
        lambda_, seed = cell.parameters['model.lambda_'], cell.parameters['randomness.seed']
        score = 99.0 if lambda_ != shipped else 40.0 + seed
        noted = {'config_file': 'shipped.py', 'title': 'Mine', 'fixed': ['tracking=wandb', *PLACES]}
        kept.add(finished(cell.parameters, score, cell.run, **noted))
    return kept


def call(*words):
    return run_tool(lambda: model_zoo.main([*words, '--cfg-options', *PLACES]))


def test_model_zoo__is_of_runs_of_the_config_as_it_is(ledger, capsys):
    old = finished({'randomness.seed': 0}, 99.0, 'old')
    ledger.add(old)
    ledger.add({**finished({'randomness.seed': 0}, 99.0, 'gone'), 'config_file': 'gone.py'})
    ledger.add(failed({'randomness.seed': 0}, 'failed'))
    assert call('kept.jsonl', '--out', 'docs/zoo.md', '--metafile', 'metafile.yml') == 0
    out = capsys.readouterr().out
    assert 'docs/zoo.md, metafile.yml: 1 models of 2 runs' in out
    assert '2 an ablation, or of another version of its config or data' in out
    assert '1 of an older version, which did not note the file of the config' in out
    assert '1 gone.py is not there (counted from the current folder)' in out
    page = Path('docs/zoo.md').read_text()
    assert '40.50 ± 0.71' in page
    assert '(../shipped.py)' in page
    (model,) = yaml.safe_load(Path('metafile.yml').read_text())['Models']
    assert model['Results'][0]['Metrics']['mIoU'] == 40.5


def test_model_zoo__an_edited_config_has_no_runs_yet(ledger, capsys):
    with Path('shipped.py').open('a') as file:
        file.write('model = dict(lambda_=0.7)\n')
    assert call('kept.jsonl') == 2
    error = capsys.readouterr().err
    assert 'kept.jsonl: no finished run of a config as it is now' in error
    assert '4 an ablation, or of another version' in error
    assert not Path('docs').exists()


def test_model_zoo__errors(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call('none.jsonl') == 2
    assert 'none.jsonl: no such ledger; tools/sweep.py run writes one' in capsys.readouterr().err
    Path('empty.jsonl').touch()
    assert call('empty.jsonl') == 2
    assert 'finished lines left out: none' in capsys.readouterr().err
