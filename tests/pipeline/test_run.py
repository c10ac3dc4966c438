"""The whole path: each product made once, a result that can be repeated from what it left."""

import json
import shutil

import pytest
from mmengine.config import Config
from PIL import Image
from tiny_run import QUICK, load

from arml.config import load_config
from arml.engine import StageRunner
from arml.engine import checkpoint as checkpoints
from arml.engine.hooks.history import read_history
from arml.errors import ArmlError, ConfigError, DataError
from arml.pipeline import run_pipeline
from arml.pipeline.run import build_stages, make_plan, use_amp
from arml.pipeline.store import Store

STAGES = ['classifier', 'pseudo_masks', 'segmentor', 'mask_scores', 'floors', 'cam_test', 'test']


@pytest.fixture
def no_training(monkeypatch):
    """Any training, mask or test fails the test."""

    def refuse(*_, **__):
        raise AssertionError('a finished stage was run again')

    monkeypatch.setattr(StageRunner, 'train', refuse)
    monkeypatch.setattr(StageRunner, 'test', refuse)
    monkeypatch.setattr('arml.pipeline.stages.masks.generate', refuse)


def stamps(store) -> dict:
    return {
        path: path.stat().st_mtime_ns
        for path in store.rglob('*')
        if path.is_file() and path.suffix not in ('.lock', '.holder')
    }


def test_run__leaves_everything_behind(tiny_run):
    work = tiny_run.work
    for name in (
        'config.py',
        'environment.json',
        'result.json',
        'table.md',
        'curves.png',
        'tiles.png',
    ):
        assert (work / name).stat().st_size > 0, name
    for name in ('curves.png', 'tiles.png'):
        with Image.open(work / name) as image:
            image.load()
            assert min(image.size) > 200
    result = json.loads((work / 'result.json').read_text())
    assert list(result['stages']) == STAGES
    assert result['dataset']
    assert len(result['classes']) == len(result['palette']) == 4
    assert result['seed'] == 0
    assert result['versions']['torch']
    assert result['commit']
    assert result['command']
    assert result['seconds'] > 0
    assert (
        result['data']['classifier']['train_dataloader']
        != result['data']['classifier']['val_dataloader']
    )
    rows = {row['name']: row for row in result['rows']}
    assert [rows[n]['split'] for n in ('pseudo masks', 'raw CAM', 'ARML')] == [
        'train',
        'test',
        'test',
    ]
    assert {'floor: constant answer', 'floor: colour of single pixels'} <= rows.keys()
    for name in ('mIoU', 'mDice', 'ACC', 'B.mIoU', *(f'IoU.{c}' for c in result['classes'])):
        assert 0 <= rows['ARML']['metrics'][name] <= 100
    table = (work / 'table.md').read_text()
    assert all(name in table for name in rows)
    environment = json.loads((work / 'environment.json').read_text())
    assert environment['seed'] == 0
    assert environment['versions'] == result['versions']


def test_run__histories_are_complete(tiny_run):
    for stage in ('classifier', 'segmentor'):
        file = tiny_run.work / tiny_run.result['histories'][stage]
        rows = read_history(file)
        assert [row['epoch'] for row in rows if row['kind'] == 'train'] == [1, 2, 3]
        validated = [row['epoch'] for row in rows if row['kind'] == 'val']
        assert validated[-1] == 3
        assert validated == sorted(set(validated))
        assert all('mIoU' in row for row in rows if row['kind'] == 'val')
        assert all('loss' in row and 'lr' in row for row in rows if row['kind'] == 'train')


def test_run__the_best_epoch_by_validation_is_kept(tiny_run):
    rows = read_history(tiny_run.work / 'segmentor' / 'history.jsonl')
    scores = {row['epoch']: row['mIoU'] for row in rows if row['kind'] == 'val'}
    meta = checkpoints.load(tiny_run.checkpoint())['meta']
    best = min(epoch for epoch, score in scores.items() if score == max(scores.values()))
    assert meta['best']['epoch'] == meta['epoch'] == best
    assert checkpoints.load(tiny_run.checkpoint('classifier'))['meta']['epoch'] == 3


def test_run__checkpoints_carry_their_card(tiny_run):
    for stage, section in (('classifier', 'classifier'), ('segmentor', None)):
        content = checkpoints.load(tiny_run.checkpoint(stage))
        card = content['meta']['arml']
        assert (card['stage'], card['section'], card['seed']) == (stage, section, 0)
        assert len(card['classes']) == 4
        assert card['input_size'] == [32, 32]
        assert card['background_index'] == 4
        assert 'mpp' in card
        Config.fromstring(card['config'], '.py')
        assert set(content) == {'meta', 'state_dict'}  # no optimiser in a product


def test_run__no_training_state_is_left_in_a_product(tiny_run):
    assert not list(tiny_run.store.rglob('*epoch_*.pth'))
    assert not list(tiny_run.store.rglob('last_checkpoint'))


def test_run__a_finished_stage_is_not_run_again(tiny_run, no_training, tmp_path):
    before = stamps(tiny_run.store)
    again = run_pipeline(tiny_run.load(), tmp_path / 'work')
    assert stamps(tiny_run.store) == before
    assert json.dumps(again['rows']) == json.dumps(tiny_run.result['rows'])
    assert all(stage['reused'] for stage in again['stages'].values())


def test_run__repeatable_from_what_it_left_behind(tiny_run, no_training, tmp_path):
    config = load_config(tiny_run.work / 'config.py')
    again = run_pipeline(config, tmp_path / 'work')
    assert again['run'] == tiny_run.result['run']
    assert json.dumps(again['rows']) == json.dumps(tiny_run.result['rows'])


def test_run__data_that_moved_are_the_same_data(tiny_run, no_training, tmp_path):
    data = shutil.copytree(tiny_run.data, tmp_path / 'moved')
    config = load_config(tiny_run.work / 'config.py', {'data_root': str(data)})
    assert run_pipeline(config, tmp_path / 'work')['run'] == tiny_run.result['run']


def test_run__another_omega_reuses_classifier_and_masks(tiny_run, tmp_path):
    store = shutil.copytree(tiny_run.store, tmp_path / 'store')
    before = stamps(store)
    config = load(tiny_run.data, store, model__swv__omega=5)
    config.train_cfg.max_epochs = 1
    result = run_pipeline(config, tmp_path / 'work')
    reused = {name: stage['reused'] for name, stage in result['stages'].items()}
    assert reused == {name: name not in ('segmentor', 'test') for name in STAGES}
    after = stamps(store)
    assert {path: after[path] for path in before} == before
    for name in ('classifier', 'pseudo_masks', 'floors', 'cam_test'):
        assert result['stages'][name]['key'] == tiny_run.result['stages'][name]['key']


def test_run__an_old_result_does_not_stand_beside_a_new_config(tiny_run, tmp_path, monkeypatch):
    work = tmp_path / 'work'
    work.mkdir()
    (work / 'result.json').write_text(json.dumps({'run': 'another'}))
    old = ['table.md', 'curves.png', 'tiles.png', 'pseudo_masks.png']
    for name in old:
        (work / name).write_text('old')
    (work / 'notes.txt').write_text('mine')

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr('arml.pipeline.run._run_stage', killed)
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(tiny_run.load(), work)
    assert (work / 'config.py').is_file()
    assert not [name for name in (*old, 'result.json') if (work / name).exists()]
    assert (work / 'notes.txt').is_file()


def test_run__a_folder_where_a_product_would_be_linked(tiny_run, no_training, tmp_path):
    (tmp_path / 'work' / 'segmentor').mkdir(parents=True)
    with pytest.raises(ArmlError, match='segmentor is no link, .* another --work-dir'):
        run_pipeline(tiny_run.load(), tmp_path / 'work')
    assert not (tmp_path / 'work' / 'config.py').exists()


def test_run__one_log_is_kept(tiny_run):
    for stage in ('classifier', 'segmentor', 'test'):
        folder = tiny_run.work / stage
        assert len(list((folder / 'log').rglob('*.log'))) == 1
        assert not list(folder.rglob('*.py'))
        assert not [p.name for p in folder.iterdir() if p.name[:2] == '20']


def test_run__killed_before_its_first_checkpoint_begins_anew(tiny_run, tmp_path, monkeypatch):
    store = shutil.copytree(tiny_run.store, tmp_path / 'store')
    folder = store / 'segmentor' / tiny_run.result['stages']['segmentor']['key']
    for name in ('product.json', 'checkpoint.pth'):
        (folder / name).unlink()
    seen = {}

    def check(self, continued):
        seen[self.name] = continued
        raise ArmlError('far enough')

    monkeypatch.setattr('arml.pipeline.stages.TrainStage.check', check)
    for made in (False, True):
        if made:
            (folder / 'last_checkpoint').write_text('epoch_1.pth')
        with pytest.raises(ArmlError, match='far enough'):
            run_pipeline(load(tiny_run.data, store), tmp_path / 'work', resume=True)
        assert seen == {'segmentor': made}


def test_run__result_is_written_last(tiny_run, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ArmlError('the picture could not be drawn')

    monkeypatch.setattr('arml.pipeline.finish.tile_sheet', fail)
    with pytest.raises(ArmlError, match='picture'):
        run_pipeline(tiny_run.load(), tmp_path / 'work')
    assert not (tmp_path / 'work' / 'result.json').exists()


def test_run__announces_what_will_be_done(tiny_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('arml.pipeline.run._run_stage', lambda *_: pytest.fail('far enough'))
    store = shutil.copytree(tiny_run.store, tmp_path / 'store')
    key = tiny_run.result['stages']['segmentor']['key']
    (store / 'segmentor' / key / 'product.json').unlink()
    state = store / 'segmentor' / key / 'last_checkpoint'
    for resume, words in (
        (True, 'before there was anything to continue'),
        (False, 'begins again (add --resume'),
        (True, 'will be continued'),
    ):
        with pytest.raises(pytest.fail.Exception):
            run_pipeline(load(tiny_run.data, store), tmp_path / 'work', resume=resume)
        said = capsys.readouterr().err
        assert words in said
        state.write_text('epoch_1.pth')
        assert said.count('finished before, will be reused') == 6


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda p: p.clear(), 'there is no pipeline'),
        (lambda p: p.insert(0, dict(p[2], name='early')), r'stage early: takes the product of '
         r'pseudo_masks, classifier, which does not come before it \(before it: none\)'),
        (lambda p: p.append(dict(p[0])), "two stages are named 'classifier'"),
        (lambda p: p[0].update(type='arml.TrainSage'), r"unknown type 'arml\.TrainSage'; known are .*arml\.TrainStage"),
        (lambda p: p[0].update(type='TrainSage'), "unknown type 'TrainSage'"),
        (lambda p: p[0].update(type='nowhere.TrainStage'), "unknown type 'nowhere"),
        (lambda p: p[0].pop('type'), 'unknown type None'),
        (lambda p: p[0].pop('name'), "stage None: .*'name'"),
        (lambda p: p[0].update(sction='classifier'), "stage classifier: .*'sction'"),
        (lambda p: p[0].update(section='teacher'), "no section 'teacher'"),
        (lambda p: p[1]['inputs'].update(checkpoint='teacher/checkpoint'), 'takes the product of teacher'),
        (lambda p: p[1]['inputs'].update(checkpoint='classifier/typo'),
         "stage pseudo_masks: checkpoint takes 'classifier/typo', but classifier makes checkpoint, history"),
        (lambda p: p[2]['bind'].update({'train_dataloader.dataset.masks': 'pseudo_masks/finale'}),
         "'pseudo_masks/finale', but pseudo_masks makes final, examples"),
    ],
)  # fmt: skip
def test_run__bad_pipelines(tiny_run, change, message):
    config = tiny_run.load()
    change(config.pipeline)
    with pytest.raises(ConfigError, match=message):
        make_plan(build_stages(config), Store(config.store))


def test_run__amp_needs_a_gpu(tiny_run, monkeypatch):
    config = tiny_run.load()
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(ConfigError, match='--amp: needs a GPU'):
        use_amp(config)
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    use_amp(config)
    for part in (config, config.classifier):
        assert part.optim_wrapper.type == 'AmpOptimWrapper'
        assert part.optim_wrapper.loss_scale == 'dynamic'
    use_amp(config, 'bf16')
    assert config.optim_wrapper.dtype == 'bfloat16'
    assert config.optim_wrapper.loss_scale == {'enabled': False}
    config.optim_wrapper.type = 'ApexOptimWrapper'
    with pytest.raises(ConfigError, match='does not work with .*ApexOptimWrapper'):
        use_amp(config)


def test_run__refuses_bad_data_before_anything_is_made(fake_tissue, tmp_path):
    (fake_tissue / 'train' / 'NOLABEL.png').write_bytes(b'x')
    with pytest.raises(DataError, match=r'(?s)not fit for training.*NOLABEL\.png'):
        run_pipeline(load(fake_tissue, tmp_path / 'store'), tmp_path / 'work')
    assert not (tmp_path / 'work').exists()
    assert not (tmp_path / 'store').exists()


def test_run__without_data_root(tmp_path):
    config = load(tmp_path, tmp_path / 'store')
    config.test_dataloader.dataset.data_root = None
    with pytest.raises(ConfigError, match='data_root: found None, expected a folder'):
        run_pipeline(config, tmp_path / 'work')


def test_run__a_stage_that_fails_leaves_no_product(fake_tissue, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('torch.save', full)
    config = load(
        fake_tissue, tmp_path / 'store', **{k.replace('.', '__'): v for k, v in QUICK.items()}
    )
    with pytest.raises(ArmlError, match=r'epoch_1\.pth: the disk is full'):
        run_pipeline(config, tmp_path / 'work')
    assert not list((tmp_path / 'store').rglob('product.json'))
    assert not (tmp_path / 'work' / 'result.json').exists()
    states = {
        item.stage.name: item.state for item in make_plan(build_stages(config), Store(config.store))
    }
    assert states['classifier'] == 'started'


def test_run__training_from_a_better_checkpoint_chooses_among_its_own_epochs(tiny_run, tmp_path):
    content = checkpoints.load(tiny_run.checkpoint())
    content['meta']['best'] = {'score': 101.0, 'epoch': 3, 'metric': 'mIoU'}
    checkpoints.save(content, tmp_path / 'start.pth')
    store = shutil.copytree(tiny_run.store, tmp_path / 'store')
    config = load(
        tiny_run.data, store, load_from=str(tmp_path / 'start.pth'), train_cfg__max_epochs=1
    )
    run_pipeline(config, tmp_path / 'work')
    meta = checkpoints.load(tmp_path / 'work' / 'segmentor' / 'checkpoint.pth')['meta']
    assert meta['best']['epoch'] == 1
