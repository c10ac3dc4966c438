"""tools/analysis_tools/seeds_table.py on results on disk."""

import json

from arml.cli import run_tool
from tools.analysis_tools.seeds_table import main


def write(folder, seed: int, value: float):
    scores = {'IoU.x': value, 'mIoU': value, 'mDice': value, 'ACC': value}
    folder.mkdir()
    result = {
        'name': 'arml', 'seed': seed, 'classes': ['x'],
        'rows': [{'name': 'ARML', 'split': 'test', 'metrics': scores}],
    }  # fmt: skip
    (folder / 'result.json').write_text(json.dumps(result))
    return str(folder)


def test_seeds_table__prints_mean_and_spread_and_writes_json(tmp_path, capsys):
    runs = [write(tmp_path / str(seed), seed, value) for seed, value in enumerate((40.0, 42.0))]
    assert main([*runs, '--out', str(tmp_path / 'out.json')]) == 0
    assert '41.00 ± 1.41' in capsys.readouterr().out
    written = json.loads((tmp_path / 'out.json').read_text())
    assert written['rows'][0]['mean']['mIoU'] == 41
    assert [run['seed'] for run in written['runs']] == [0, 1]


def test_seeds_table__an_unfinished_run_is_named(tmp_path, capsys):
    (tmp_path / 'run').mkdir()
    assert run_tool(lambda: main([str(tmp_path / 'run')])) == 2
    assert 'result.json' in capsys.readouterr().err
