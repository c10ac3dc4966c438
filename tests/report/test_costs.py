"""The table of costs, from the file of the benchmark to the page."""

import json

import pytest
from fake_ledger import omega_lines, omega_runs

from arml.errors import DataError
from arml.report.costs import cost_table, costs_section, load_costs
from arml.report.options import ReportOptions
from arml.report.sweep_report import write_report

LINES = [
    {
        'config': 'configs/x.py', 'title': 'ARML', 'row': 'raw CAM', 'stage': 'cam_test', 'parameters': 1_234_000,
        'flops': 2.5e9, 'training_seconds': 90.0, 'training_range': [84.0, 96.0], 'tiles_per_second': 20.4,
        'tiles_range': [20.1, 20.4], 'memory': 512.4,
    },
    {
        'config': 'configs/x.py', 'title': 'ARML', 'row': 'ARML', 'stage': 'test', 'parameters': 3e6, 'flops': 1e9,
        'training_seconds': 300.0, 'tiles_per_second': 100.0, 'memory': 1000.0,
    },
]  # fmt: skip
CONTENT = {
    'benchmark': 'cost', 'command': 'benchmark.py cost configs/x.py', 'settings': {'repeats': 3}, 'costs': LINES,
    'environment': {'processor': 'CPU', 'threads': 2, 'commit': 'abc', 'versions': {'torch': '2.13'}},
}  # fmt: skip


def cells(line):
    return [cell.strip() for cell in line.split('|')[1:-1]]


def test_cost_table__medians_and_ranges():
    head, _, maps, segmentor = cost_table(LINES).splitlines()
    assert cells(head)[:4] == ['method', 'config', 'result', 'parameters (M)']
    assert cells(maps) == ['ARML', '`x`', 'maps', '1.23', '2.50', '1.5 (1.4 to 1.6)', '20', '512']
    assert cells(segmentor) == ['ARML', '`x`', 'segmentor', '3.00', '1.00', '5.0', '100', '1000']


def test_costs_section__says_how_it_was_measured():
    text = costs_section(CONTENT)
    assert '3 times in turns' in text
    assert 'CPU, 2 threads, torch 2.13, commit abc' in text
    assert 'benchmark.py cost configs/x.py' in text


def test_report__has_the_costs(tmp_path):
    (tmp_path / 'costs.json').write_text(json.dumps(CONTENT))
    options = ReportOptions(tiles=False, costs=str(tmp_path / 'costs.json'))
    write_report([omega_runs()], options, tmp_path / 'out', 'the command', lambda runs: (None, ''))
    assert '### What each costs' in (tmp_path / 'out' / 'report.md').read_text()
    assert json.loads((tmp_path / 'out' / 'report.json').read_text())['costs'][0]['title'] == 'ARML'


def test_report__refuses_costs_of_configs_that_it_did_not_run(tmp_path):
    (tmp_path / 'costs.json').write_text(json.dumps(CONTENT))
    options = ReportOptions(tiles=False, costs=str(tmp_path / 'costs.json'))

    def write(file):
        runs = omega_runs(lines=omega_lines(config_file=file))
        return write_report([runs], options, tmp_path / 'out', 'x', lambda runs: (None, ''))

    with pytest.raises(DataError, match=r'its costs are of x; the sweeps ran y\. Measure those'):
        write('configs/y.py')
    assert not (tmp_path / 'out').exists()
    with pytest.raises(DataError, match='deep/x'):
        write('configs/deep/x.py')
    for file in ('/elsewhere/configs/x.py', '/configs/other/configs/x.py'):
        assert write(file)
    with pytest.raises(DataError, match='my_configs/x'):
        write('my_configs/x.py')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'cannot be read'),
        ('[]', 'no list "costs"'),
        ('{"costs": []}', 'no list "costs"'),
        ('{"costs": 3}', 'no list "costs"'),
        ('{"costs": [3]}', r'costs\[0\]: found 3, expected what a result costs'),
        ('{"costs": [{"title": "x"}]}', r'costs\[0\]: "config" is None, expected a text'),
        (
            json.dumps({'costs': [LINES[0], {**LINES[0], 'memory': None}]}),
            r'\[1\]: "memory" is None',
        ),
        (json.dumps({'costs': [{**LINES[0], 'tiles_range': [1, 'a']}]}), '"tiles_range" is \'a\''),
        (
            json.dumps({'costs': [{**LINES[0], 'tiles_range': 5}]}),
            '"tiles_range" is 5, expected its',
        ),
        (
            json.dumps({'costs': [{**LINES[0], 'tiles_range': [1.0]}]}),
            r'is \[1.0\], expected its two',
        ),
        (
            json.dumps({**CONTENT, 'environment': [1]}),
            r'"environment" is \[1\], expected a mapping',
        ),
    ],
)
def test_load_costs__refuses_what_is_no_such_file(text, message, tmp_path):
    path = tmp_path / 'costs.json'
    path.write_text(text)
    with pytest.raises(DataError, match=rf'costs\.json.*{message}'):
        load_costs(path)
    with pytest.raises(DataError, match='cannot be read'):
        load_costs(tmp_path / 'none.json')
