"""The store: a product is whole or none; one process at a time makes it."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime

import pytest

from arml.errors import ArmlError
from arml.pipeline.environment import commit, versions
from arml.pipeline.store import RECORD, Store

KEY = '0123456789abcdef'


def finished(store: Store):
    folder = store.folder('stage', KEY)
    folder.mkdir(parents=True)
    (folder / 'a.txt').write_text('x')
    return store.finish('stage', KEY, {'items': {'a': 'a.txt'}, 'rows': [], 'notes': {}})


def test_store__finds_what_was_finished(tmp_path):
    store = Store(tmp_path)
    made = finished(store)
    found = Store(str(tmp_path)).find('stage', KEY)
    assert found == made
    assert found.key == KEY
    assert found.path('a').read_text() == 'x'
    assert store.find('stage', 'another') is None
    assert store.find('other', KEY) is None


def test_store__a_folder_without_a_record_is_no_product(tmp_path):
    store = Store(tmp_path)
    finished(store)
    (store.folder('stage', KEY) / RECORD).unlink()
    assert store.find('stage', KEY) is None
    assert store.started('stage', KEY)
    store.clear('stage', KEY)
    assert not store.started('stage', KEY)
    assert not store.folder('stage', KEY).exists()


def test_store__a_half_written_record_is_no_product(tmp_path):
    store = Store(tmp_path)
    folder = store.folder('stage', KEY)
    folder.mkdir(parents=True)
    (folder / '.product.x.json').write_text('{"items": {}')
    assert store.find('stage', KEY) is None


def test_store__clear_never_removes_a_product(tmp_path):
    store = Store(tmp_path)
    finished(store)
    store.clear('stage', KEY)
    assert store.find('stage', KEY) is not None


@pytest.mark.parametrize('text', ['', '{"items": ', '[]', '3', '{}', '{"items": 3}'])
def test_store__a_broken_record_is_named(tmp_path, text):
    store = Store(tmp_path)
    finished(store)
    (store.folder('stage', KEY) / RECORD).write_text(text)
    with pytest.raises(ArmlError, match=r'product\.json: is no .*Remove the folder'):
        store.find('stage', KEY)


def test_store__an_item_that_is_gone_is_named(tmp_path):
    store = Store(tmp_path)
    finished(store).path('a').unlink()
    with pytest.raises(ArmlError, match='a is gone from it. Remove the folder'):
        store.find('stage', KEY)


def test_store__unknown_item(tmp_path):
    with pytest.raises(ArmlError, match="has no item 'b', only a"):
        finished(Store(tmp_path)).path('b')


def test_store__cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('x')
    with (
        pytest.raises(ArmlError, match='cannot write .*file'),
        Store(tmp_path / 'file' / 'store').lock('stage', KEY, print),
    ):
        pass


WORKER = f"""
import pathlib, sys, time, uuid
from arml.startup import start
start()
from arml.pipeline.store import Store
store, mode = Store(sys.argv[1]), sys.argv[2]
folder = store.folder('stage', {KEY!r})
with store.lock('stage', {KEY!r}, lambda text: print(text, flush=True)):
    if store.find('stage', {KEY!r}) is None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ('run-' + uuid.uuid4().hex)).touch()
        print('making', flush=True)
        time.sleep(600 if mode == 'hang' else 0.5)
        store.finish('stage', {KEY!r}, {{'items': {{}}, 'rows': [], 'notes': {{}}}})
"""


def start(root, mode: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, '-c', WORKER, str(root), mode], stdout=subprocess.PIPE, text=True
    )


def test_store__processes_that_want_the_same_key_make_it_once(tmp_path):
    workers = [start(tmp_path, 'make') for _ in range(3)]
    said = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len(list(Store(tmp_path).folder('stage', KEY).glob('run-*'))) == 1
    assert sum('making' in text for text in said) == 1


def test_store__a_killed_holder_frees_the_lock_and_leaves_no_product(tmp_path):
    store = Store(tmp_path)
    holder = start(tmp_path, 'hang')
    try:
        assert holder.stdout.readline() == 'making\n'
        waiting = start(tmp_path, 'make')
        text = waiting.stdout.readline()
        assert 'another process works on it' in text
        assert f'process {holder.pid} on ' in text
        assert store.find('stage', KEY) is None
        holder.send_signal(signal.SIGKILL)
        begun = time.monotonic()
        waiting.communicate(timeout=60)
        assert waiting.returncode == 0
        assert time.monotonic() - begun < 30
        assert len(list(store.folder('stage', KEY).glob('run-*'))) == 2
        assert store.find('stage', KEY) is not None
    finally:
        holder.kill()
        holder.communicate()


def test_store__record_is_written_last_and_whole(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.folder('stage', KEY).mkdir(parents=True)

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(ArmlError, match='the disk is full'):
        store.finish('stage', KEY, {'items': {}})
    monkeypatch.undo()
    assert store.find('stage', KEY) is None
    store.finish('stage', KEY, {'items': {}})
    record = json.loads((store.folder('stage', KEY) / RECORD).read_text())
    assert record.pop('made')
    assert record == {'items': {}, 'key': KEY, 'stage': 'stage'}


def test_store__a_product_says_what_it_was_made_with(tmp_path):
    made = finished(Store(tmp_path)).record['made']
    assert made['commit'] == commit()
    assert made['versions'] == versions()
    assert {'machine', 'threads', 'gpu'} <= made.keys()
    assert abs(datetime.fromisoformat(made['time']).timestamp() - time.time()) < 60
