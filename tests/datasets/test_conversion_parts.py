import io
import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest
from fake_tissue import make_fake, write_tile

from arml.datasets.conversion import output
from arml.datasets.conversion.output import building
from arml.datasets.conversion.progress import Progress, format_seconds
from arml.datasets.conversion.source import Source
from arml.datasets.conversion.subset import read_subset
from arml.errors import ArmlError, DataError


def zip_folder(folder, path, above=''):
    with zipfile.ZipFile(path, 'w') as archive:
        for file in sorted(folder.rglob('*')):
            if file.is_file():
                archive.write(file, above + file.relative_to(folder).as_posix())
    return path


def test_source__zip_and_folder_read_alike(tmp_path):
    root = make_fake(tmp_path / 'bcss')
    (root / 'readme.txt').touch()
    write_tile(root / '__MACOSX' / 'x.png')
    write_tile(root / 'train' / '._hidden.png')
    with Source([root]) as folder, Source([zip_folder(root, tmp_path / 'a.zip')]) as archive:
        assert folder.names() == archive.names()
        assert len(folder.names()) == 14
        assert all(folder.read(name) == archive.read(name) for name in folder.names())


def test_source__several_are_one(tmp_path):
    root = make_fake(tmp_path / 'bcss')
    train = zip_folder(root / 'train', tmp_path / '1.zip', 'train/')
    test = zip_folder(root / 'test', tmp_path / '2.zip', 'test/')
    with Source([train, test]) as source:
        assert len(source.names()) == 10
    with pytest.raises(DataError, match='bcss: holds train/.*so does another source'):
        Source([train, root])


def test_source__missing_or_no_zip(tmp_path):
    with pytest.raises(DataError, match=r'none\.zip: no such file or folder'):
        Source([tmp_path / 'none.zip'])
    (tmp_path / 'a.rar').write_bytes(b'Rar!')
    with pytest.raises(DataError, match=r'a\.rar: not a readable zip archive .*Unpack other'):
        Source([tmp_path / 'a.rar'])


@pytest.mark.parametrize('method', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_source__damaged_member(tmp_path, method):
    path = tmp_path / 'a.zip'
    with zipfile.ZipFile(path, 'w', method) as archive:
        archive.writestr('train/a.png', bytes(range(256)) * 40)
    content = bytearray(path.read_bytes())
    content[60:70] = b'x' * 10
    path.write_bytes(content)
    with Source([path]) as source, pytest.raises(DataError, match=r'train/a\.png: .*source'):
        source.read('train/a.png')


def test_source__vanished_file(tmp_path):
    root = make_fake(tmp_path)
    with Source([root]) as source:
        name = source.names()[0]
        (root / name).unlink()
        with pytest.raises(DataError, match='cannot be read from the source'):
            source.read(name)


def test_building__whole_or_absent(tmp_path):
    out = tmp_path / 'data' / 'bcss'
    with building(out) as folder:
        (folder / 'a').touch()
        assert not out.exists()
    assert (out / 'a').is_file()
    assert list(out.parent.iterdir()) == [out]
    assert out.stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask():
    value = os.umask(0)
    os.umask(value)
    return value


def test_building__error_leaves_nothing(tmp_path):
    def fail():
        with building(tmp_path / 'out') as folder:
            (folder / 'a').touch()
            raise DataError('stop')

    with pytest.raises(DataError, match='stop'):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_building__existing_needs_force(tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'old').touch()
    with pytest.raises(DataError, match='already there; give --force'), building(out):
        pass
    with pytest.raises(ValueError, match='stop'), building(out, force=True):
        raise ValueError('stop')
    assert [path.name for path in out.iterdir()] == ['old']
    with building(out, force=True) as folder:
        (folder / 'new').touch()
    assert [path.name for path in out.iterdir()] == ['new']
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize('inner', ['', 'x', 'x/y.zip'])
def test_building__source_inside(tmp_path, inner):
    with pytest.raises(DataError, match='lies in it'):
        with building(tmp_path / 'out', [tmp_path / 'out' / inner], force=True):
            pass


def test_building__full_disk(tmp_path):
    with pytest.raises(ArmlError, match='the disk is full'), building(tmp_path / 'out'):
        raise OSError(28, 'No space left on device')
    assert list(tmp_path.iterdir()) == []


def test_building__killed_leaves_no_data_and_is_cleaned_up(tmp_path):
    out = tmp_path / 'out'
    code = (
        'import sys, time\n'
        'from arml.datasets.conversion.output import building\n'
        'with building(sys.argv[1]) as folder:\n'
        '    (folder / "train").mkdir()\n'
        '    print("half", flush=True)\n'
        '    time.sleep(60)\n'
    )
    process = subprocess.Popen(
        [sys.executable, '-c', code, str(out)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    while process.stdout.readline().strip() != b'half':
        assert process.poll() is None
    with building(tmp_path / 'out2'):
        pass  # another folder: not its business
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    leftovers = [path.name for path in tmp_path.iterdir() if path.name != 'out2']
    assert len(leftovers) == 1
    assert leftovers[0].startswith('.out.partial-')
    with building(out):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ['out', 'out2']


def test_building__leaves_a_living_maker_alone(tmp_path):
    with building(tmp_path / 'out') as first:
        with building(tmp_path / 'out'):
            pass
        assert first.is_dir()
        assert output._alive(os.getpid())
        (tmp_path / 'out').rmdir()


def test_subset__plain_and_csv(tmp_path):
    path = tmp_path / 'list'
    path.write_text('# mine\n\ntrain/a[1 0].png\nb.png\n')
    assert read_subset(path) == [{'file': 'train/a[1 0].png'}, {'file': 'b.png'}]
    path.write_text('split,file\ntrain,a.png\n')
    assert read_subset(path) == [{'split': 'train', 'file': 'a.png'}]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('# nothing\n', 'an empty list'),
        ('a.png\nb.png\na.png\n', r'names a\.png twice'),
        ('file,split\na.png\n', 'row 1 has another number of fields'),
        ('file,split\na.png,train,x\n', 'row 1 has another number of fields'),
    ],
)
def test_subset__wrong(tmp_path, text, message):
    (tmp_path / 'list').write_text(text)
    with pytest.raises(DataError, match=message):
        read_subset(tmp_path / 'list')


def test_subset__unreadable(tmp_path):
    with pytest.raises(DataError, match='cannot be read as a list'):
        read_subset(tmp_path / 'none')
    (tmp_path / 'list').write_bytes(b'\xff\xfe\xff')
    with pytest.raises(DataError, match='cannot be read as a list'):
        read_subset(tmp_path / 'list')


def test_progress__tells_the_time_left(monkeypatch):
    clock = iter([0.0, *range(10, 110, 10)])
    monkeypatch.setattr(time, 'monotonic', lambda: next(clock))
    stream = io.StringIO()
    progress = Progress('copying', stream=stream)
    for done in range(1, 11):
        progress.at(done, 10)
    lines = stream.getvalue().splitlines()
    assert lines[0] == 'copying 1/10, 1 min 30 s left'
    assert lines[-1] == 'copying 10/10, 0 s left'
    assert len(lines) == 10


def test_progress__quiet_when_quick():
    stream = io.StringIO()
    progress = Progress('copying', stream=stream)
    for done in range(1, 11):
        progress.at(done, 10)
    assert stream.getvalue() == ''


@pytest.mark.parametrize(
    ('seconds', 'text'), [(45.4, '45 s'), (200, '3 min 20 s'), (7500, '2 h 5 min')]
)
def test_format_seconds__units(seconds, text):
    assert format_seconds(seconds) == text
