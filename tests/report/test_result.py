"""Reading results and histories."""

import ast
import json
from pathlib import Path

import pytest

import arml.report
from arml.errors import DataError
from arml.report.result import check_result, load_history, load_result

RESULT = {'classes': ['x', 'y'], 'rows': [{'name': 'raw CAM', 'metrics': {'mIoU': 1.0}}]}


def test_load_result__takes_the_file_or_its_folder(tmp_path):
    (tmp_path / 'result.json').write_text(json.dumps(RESULT))
    assert load_result(tmp_path) == load_result(tmp_path / 'result.json') == RESULT


def test_load_result__raises(tmp_path):
    with pytest.raises(DataError, match=r'result\.json: no such file.*--resume'):
        load_result(tmp_path)
    (tmp_path / 'result.json').write_text('{"classes"')
    with pytest.raises(DataError, match='is not JSON'):
        load_result(tmp_path)


@pytest.mark.parametrize(
    ('result', 'match'),
    [
        ([], 'expected a mapping, found list'),
        ({**RESULT, 'classes': None}, 'field "classes" is None, expected a list'),
        ({**RESULT, 'rows': []}, r'field "rows" is \[\]'),
        ({**RESULT, 'rows': [{'name': 'raw CAM'}]}, r'rows\[0\] has no "metrics"'),
        ({**RESULT, 'rows': [{'metrics': {}}]}, r'rows\[0\] has no "name"'),
    ],
)
def test_check_result__raises(result, match):
    with pytest.raises(DataError, match=match):
        check_result(result)


def test_load_history__leaves_out_a_line_cut_off_by_a_kill(tmp_path):
    path = tmp_path / 'history.jsonl'
    path.write_text('{"epoch": 1, "mIoU": NaN}\n{"epoch": 2}\n{"epoch": 3')
    assert [row['epoch'] for row in load_history(path)] == [1, 2]


def test_load_history__raises(tmp_path):
    path = tmp_path / 'history.jsonl'
    with pytest.raises(DataError, match='no such history'):
        load_history(path)
    path.write_text('{"epoch": 1}\n{broken\n{"epoch": 3}\n')
    with pytest.raises(DataError, match='line 2 is not JSON'):
        load_history(path)
    path.write_text('[1]\n')
    with pytest.raises(DataError, match='line 1 is list, expected an object'):
        load_history(path)


def test_report__imports_no_torch():
    for path in Path(arml.report.__file__).parent.glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.split('.')[0] in ('torch', 'mmengine', 'mmseg')], path
