"""The ledger: no line is lost, no half line is read."""

import json
import multiprocessing

import pytest

from arml.ablation import Ledger
from arml.errors import ArmlError, DataError


def row(run, status='finished', **more):
    return {'run': run, 'status': status, **more}


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / 'folder' / 'ledger.jsonl')


def test_ledger__lines_by_run(ledger):
    assert (ledger.rows(), ledger.finished(), ledger.statuses()) == ([], {}, {})
    rows = [row('a', 'failed'), row('b', x=1), row('a'), row('b', x=2)]
    rows += [row('b', 'failed'), row('c', 'failed')]
    for each in rows:
        ledger.add(each)
    assert ledger.rows() == rows
    assert ledger.finished() == {'a': row('a'), 'b': row('b', x=2)}
    assert ledger.statuses() == {'a': 'finished', 'b': 'finished', 'c': 'failed'}
    text = ledger.path.read_text()
    assert [json.loads(line) for line in text.splitlines()] == rows
    assert text.endswith('\n')


def test_ledger__failures_are_counted_and_a_finished_cell_has_one_line(ledger):
    for each in (row('a', 'failed'), row('b', 'pruned'), row('a', 'failed')):
        ledger.add(each)
    assert ledger.failures() == {'a': 2}
    assert ledger.add_finished(row('a', x=1))
    assert not ledger.add_finished(row('a', x=2))
    assert ledger.add_finished(row('b'))
    assert ledger.finished() == {'a': row('a', x=1), 'b': row('b')}
    assert len(ledger.rows()) == 5


def test_ledger__an_attempt_has_one_line(ledger):
    assert ledger.add_failed(row('a', 'failed', attempt=1, by='its worker'))
    assert not ledger.add_failed(row('a', 'failed', attempt=1, by='who found it dead'))
    assert ledger.add_failed(row('b', 'failed', attempt=1))
    assert ledger.add_failed(row('a', 'failed', attempt=2))
    assert ledger.failures() == {'a': 2, 'b': 1}


def test_ledger__forgiven_failures_do_not_count_and_stay(ledger):
    for each in (row('a', 'failed'), row('b', 'failed'), row('b'), row('a', 'failed')):
        ledger.add(each)
    assert ledger.counted_failures() == {'a': 2, 'b': 1}
    assert ledger.forgive(lambda run: {'by': f'who retries {run}'}) == ['a']
    assert ledger.forgive() == []
    assert ledger.counted_failures()['a'] == 0
    assert ledger.failures()['a'] == 2
    assert ledger.statuses() == {'a': 'failed', 'b': 'finished'}
    assert len(ledger.rows()) == 4  # no attempt
    assert '"by": "who retries a"' in ledger.path.read_text()
    ledger.add_failed(row('a', 'failed', attempt=3))
    assert ledger.counted_failures()['a'] == 1


@pytest.mark.parametrize(
    ('end', 'runs'), [('{"run": "b", "sta', 'ac'), ('{"run": "b", "status": "finished"}', 'abc')]
)
def test_ledger__last_line_without_an_end(ledger, end, runs):
    ledger.add(row('a'))
    with ledger.path.open('a') as file:
        file.write(end)
    assert [each['run'] for each in ledger.rows()] == list(runs[:-1])
    ledger.add(row('c'))
    assert [each['run'] for each in ledger.rows()] == list(runs)
    assert ledger.path.read_text().endswith('\n')


@pytest.mark.parametrize(
    ('line', 'match'),
    [
        ('{"run": ', r'ledger\.jsonl, line 2: is no JSON'),
        (
            '[1]',
            r"ledger\.jsonl, line 2: found '\[1\]', expected a JSON object with run and status",
        ),
        ('{"run": "a"}', 'expected a JSON object with run and status'),
        ('', 'line 2: is no JSON'),
        ('\udcff', 'line 2: is no JSON'),
    ],
)
def test_rows__raises(ledger, line, match):
    ledger.path.parent.mkdir()
    lines = [json.dumps(row('a')), line, json.dumps(row('b'))]
    ledger.path.write_text('\n'.join(lines) + '\n', errors='surrogateescape')
    with pytest.raises(DataError, match=match):
        ledger.rows()


def test_add__raises_where_nothing_can_be_written(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(ArmlError, match=r'cannot write .*ledger\.jsonl'):
        Ledger(tmp_path / 'file' / 'ledger.jsonl').add(row('a'))


def _add_many(path, name):
    for number in range(40):
        Ledger(path).add(row(f'{name}{number}', text='x' * 3000))
        Ledger(path).add_finished(row(f'shared{number}', by=name))


def test_add__two_processes_lose_no_line(ledger):
    fork = multiprocessing.get_context('fork')
    processes = [fork.Process(target=_add_many, args=(ledger.path, name)) for name in 'ab']
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    found = [each['run'] for each in ledger.rows()]
    names = ('a', 'b', 'shared')
    assert sorted(found) == sorted(f'{name}{number}' for name in names for number in range(40))
    for name in 'ab':
        own = [run for run in found if run[0] == name]
        assert own == [f'{name}{number}' for number in range(40)]
