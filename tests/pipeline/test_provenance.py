"""Which commit, versions and data a product and a run are of."""

import json
import shutil

import pytest
import torch
from tiny_run import load

from arml.pipeline import environment, run_pipeline


def test_run__a_reused_product_keeps_its_commit(tiny_run, tmp_path):
    store = shutil.copytree(tiny_run.store, tmp_path / 'store')
    for stage, made in (('classifier', {'commit': 'early', 'time': '2026'}), ('segmentor', None)):
        key = tiny_run.result['stages'][stage]['key']
        file = store / stage / key / 'product.json'
        record = json.loads(file.read_text())
        del record['made']  # as records were before
        file.write_text(json.dumps({**record, **({'made': made} if made else {})}))
    result = run_pipeline(load(tiny_run.data, store), tmp_path / 'work')
    stages = result['stages']
    assert (stages['classifier']['commit'], stages['classifier']['made']) == ('early', '2026')
    assert (stages['segmentor']['commit'], stages['segmentor']['made']) == ('unknown', None)
    assert stages['classifier']['processor'] is None
    assert stages['pseudo_masks']['processor'] == environment.processor()
    assert stages['test']['commit'] == result['commit'] == environment.commit()


def test_commit__is_that_which_the_process_began_with(monkeypatch):
    before = environment.commit()
    monkeypatch.setattr(environment.subprocess, 'run', lambda *_, **__: pytest.fail('asked again'))
    assert environment.commit() == before


@pytest.mark.parametrize(
    ('said', 'expected'),
    [
        (
            'processor: 0\nmodel name\t: A\ncpu family\t: 25\nmodel\t: 17\n\nmodel name: B',
            'A family 25 model 17',
        ),
        ('model name\t: A', 'A'),
        (None, environment.platform.processor() or environment.platform.machine()),
    ],
)
def test_processor__is_told_apart_by_its_numbers_too(tmp_path, monkeypatch, said, expected):
    file = tmp_path / 'cpuinfo'
    if said is not None:
        file.write_text(said)
    monkeypatch.setattr(environment, 'Path', lambda _: file)
    used = torch.backends.cpu.get_cpu_capability()
    assert environment.processor.__wrapped__() == f'{expected}, {used}'
    monkeypatch.undo()
    assert environment.describe()['processor'] == environment.processor()


def test_run__that_dies_has_said_which_data(tiny_run, tmp_path, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr('arml.pipeline.run._run_stage', killed)
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(tiny_run.load(), tmp_path / 'work')
    left = json.loads((tmp_path / 'work' / 'environment.json').read_text())
    assert left['data'] == tiny_run.result['data']
    assert left['commit']
    assert left['time']


def test_run__tidies_a_product_that_was_killed_before_it_could(tiny_run, tmp_path):
    store = shutil.copytree(tiny_run.store, tmp_path / 'store')
    folder = store / 'segmentor' / tiny_run.result['stages']['segmentor']['key']
    for name in ('epoch_3.pth', 'best_epoch_2.pth'):
        shutil.copy(folder / 'checkpoint.pth', folder / name)
    (folder / 'last_checkpoint').write_text('epoch_3.pth')
    before = sorted(path.name for path in tiny_run.checkpoint().parent.iterdir())
    run_pipeline(load(tiny_run.data, store), tmp_path / 'work')
    assert sorted(path.name for path in folder.iterdir()) == before
