"""Masks of a whole split: gated, resumable, of one origin."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_run import load

from arml.engine import checkpoint as checkpoints
from arml.errors import ArmlError, CheckpointError, DataError
from arml.pseudo import generate as module
from arml.pseudo.generate import generate, score_masks
from arml.pseudo.io import read_mask
from arml.registry import DATASETS


@pytest.fixture
def make(tiny_run, tmp_path):
    """Make masks of a split into a folder; returns the folder of masks."""

    def run(split='train', data=None, out='out', checkpoint=None, **options):
        config = load(data or tiny_run.data, tmp_path / 'store')
        settings = config.pseudo_masks
        settings.dataloader.dataset.split = split
        for key, value in options.items():
            loads = key in ('batch_size', 'num_workers')
            (settings.dataloader if loads else settings.dataloader.dataset)[key] = value
        path = checkpoint or tiny_run.checkpoint('classifier')
        made = generate(config.classifier.model, path, settings, tmp_path / out, device='cpu')
        assert made.names == ['final']
        return tmp_path / out / 'final'

    return run


def pixels(folder) -> dict[str, bytes]:
    return {file.stem: read_mask(file).tobytes() for file in sorted(folder.glob('*.png'))}


def test_generate__same_masks_as_in_the_pipeline_whatever_the_batch(make, tiny_run):
    expected = pixels(tiny_run.work / 'pseudo_masks' / 'final')
    assert len(expected) == 12
    assert pixels(make(out='one', batch_size=1)) == expected
    assert pixels(make(out='many', batch_size=12, num_workers=1)) == expected


def test_generate__only_labelled_classes_on_train(make):
    folder = make()
    seen = set()
    for file in folder.glob('*.png'):
        label = file.stem[-5:-1]
        allowed = {index for index, digit in enumerate(label) if digit == '1'}
        found = set(np.unique(read_mask(file)).tolist())
        assert found <= allowed, file.name
        seen |= found
    assert len(seen) > 1


def test_generate__palette_png_of_the_tile_s_size(make, tiny_run):
    file = sorted(make().glob('*.png'))[0]
    with Image.open(file) as image:
        assert image.mode == 'P'
        assert image.size == (32, 32)
        assert image.getpalette()[:3] == [int(v) for v in tiny_run.result['palette'][0]]


@pytest.mark.parametrize('split', ['val', 'test'])
def test_generate__truth_of_val_and_test_is_not_used(make, tiny_run, tmp_path, split):
    before = pixels(make(split, out='a'))
    data = shutil.copytree(tiny_run.data, tmp_path / 'data')
    for file in (data / split / 'mask').glob('*.png'):
        with Image.open(file) as image:
            changed = Image.fromarray((np.array(image) + 2) % 4)
            changed.putpalette(image.getpalette())
        changed.save(file)
    after = pixels(make(split, data=data, out='b'))
    assert len(before) == 6
    assert after == before
    manifests = [json.loads((tmp_path / name / 'manifest.json').read_text()) for name in 'ab']
    assert manifests[0]['scores'] != manifests[1]['scores']  # measured against the truth only
    assert manifests[0]['data_fingerprint'] == manifests[1]['data_fingerprint']


@pytest.mark.parametrize('split', ['val', 'test'])
def test_generate__presence_from_the_classifier(make, split, monkeypatch):
    from arml.models.classifiers.multi_label import MultiLabelClassifier

    def only_the_third(self, inputs=None, features=None):
        count = len(features if inputs is None else inputs)
        return torch.tensor([[False, False, True, False]]).expand(count, 4)

    monkeypatch.setattr(MultiLabelClassifier, 'presence', only_the_third)
    for file in make(split).glob('*.png'):
        assert np.unique(read_mask(file)).tolist() == [2]


def test_generate__resumes_where_it_stopped(make):
    folder = make()
    files = sorted(folder.glob('*.png'))
    expected = pixels(folder)
    for file in files[:3]:
        file.unlink()
    (folder.parent / 'manifest.json').rename(folder.parent / 'in_progress.json')
    (folder / f'.{files[0].stem}.x1.png').write_bytes(b'half a file')
    kept = {file: file.stat().st_mtime_ns for file in files[3:]}
    make()
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    (folder / f'.{files[0].stem}.x1.png').unlink()
    assert pixels(folder) == expected
    assert (folder.parent / 'manifest.json').is_file()
    assert not (folder.parent / 'in_progress.json').exists()


def test_generate__background_on_tissue_is_a_miss(make, tmp_path, tiny_run):
    def masks_of(answer):
        folder = make('test')
        for file in folder.glob('*.png'):
            with Image.open(file) as image:
                mask = answer(read_mask(tiny_run.data / 'test' / 'mask' / file.name))
                changed = Image.fromarray(mask)
                changed.putpalette(image.getpalette())
            changed.save(file)
        make('test')
        return json.loads((tmp_path / 'out' / 'manifest.json').read_text())['scores']['final']

    def upper_half_unnamed(truth):
        truth[:16] = 4
        return truth

    half = masks_of(upper_half_unnamed)
    whole = masks_of(lambda truth: truth)
    assert whole['mIoU'] == whole['ACC'] == 100
    truths = np.stack(
        [read_mask(file) for file in sorted((tiny_run.data / 'test' / 'mask').glob('*.png'))]
    )
    tissue = truths < 4
    assert half['ACC'] == pytest.approx(100 * tissue[:, 16:].sum() / tissue.sum())
    first = [name for name in half if name.startswith('IoU.')][0]
    expected = 100 * (truths[:, 16:] == 0).sum() / (truths == 0).sum()
    assert half[first] == pytest.approx(expected)


def test_generate__refuses_another_input_pipeline(make):
    make()
    pipeline = [
        {'type': 'arml.LoadTile'},
        {'type': 'Resize', 'scale': (16, 16)},
        {'type': 'arml.PackTissueInputs'},
    ]
    with pytest.raises(ArmlError, match='masks made with another dataset'):
        make(pipeline=pipeline)
    with pytest.raises(ArmlError, match='masks made with another dataset'):
        make(indices=3)


def test_generate__killed_in_the_middle(make, monkeypatch, tmp_path):
    real, count = module.write_mask, []

    def killed(*args):
        count.append(1)
        if len(count) > 5:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr(module, 'write_mask', killed)
    with pytest.raises(KeyboardInterrupt):
        make()
    assert not (tmp_path / 'out' / 'manifest.json').exists()
    monkeypatch.setattr(module, 'write_mask', real)
    written = []
    monkeypatch.setattr(module, 'write_mask', lambda *a: (written.append(a[0]), real(*a)))
    assert len(pixels(make())) == 12
    assert len(written) == 7


def test_generate__nothing_to_do_needs_no_model(make, monkeypatch):
    make()
    monkeypatch.setattr(module, '_classifier', lambda *_: pytest.fail('built'))
    assert len(pixels(make())) == 12


def other(checkpoint, path):
    content = checkpoints.load(checkpoint)
    content['state_dict'] = {key: value + 1 for key, value in content['state_dict'].items()}
    checkpoints.save(content, path)
    return path


def test_generate__refuses_masks_of_another_origin(make, tiny_run, tmp_path):
    make()
    stranger = other(tiny_run.checkpoint('classifier'), tmp_path / 'other.pth')
    with pytest.raises(ArmlError, match='masks made with another checkpoint_sha256'):
        make(checkpoint=stranger)
    manifest = tmp_path / 'out' / 'manifest.json'
    manifest.rename(manifest.with_name('in_progress.json'))  # an unfinished folder is refused too
    with pytest.raises(ArmlError, match='masks made with another checkpoint_sha256'):
        make(checkpoint=stranger)
    with pytest.raises(
        ArmlError, match='masks made with another data_fingerprint, dataset, split, presence'
    ):
        make('val')


def test_generate__refuses_pictures_without_a_manifest(make, tmp_path):
    (tmp_path / 'out' / 'final').mkdir(parents=True)
    Image.new('L', (32, 32)).save(tmp_path / 'out' / 'final' / 'x.png')
    with pytest.raises(ArmlError, match='pictures that were not made here'):
        make()


def test_generate__broken_manifest(make, tmp_path):
    make()
    (tmp_path / 'out' / 'manifest.json').write_text('[1')
    with pytest.raises(ArmlError, match=r'manifest\.json: is no manifest'):
        make()


def test_generate__manifest(make, tiny_run, tmp_path):
    from arml.datasets.fingerprint import file_sha256

    make()
    manifest = json.loads((tmp_path / 'out' / 'manifest.json').read_text())
    assert manifest['checkpoint_sha256'] == file_sha256(tiny_run.checkpoint('classifier'))
    assert len(manifest['data_fingerprint']) == 64
    assert manifest['model']['type'] == 'arml.MultiLabelClassifier'
    assert manifest['maps']['type'] == 'arml.WeightMaps'
    assert manifest['rule']['type'] == 'arml.MaskRule'
    assert (manifest['split'], manifest['presence']) == ('train', 'image-level label')
    assert (manifest['tiles'], manifest['names']) == (12, ['final'])
    assert 0 <= manifest['scores']['final']['mIoU'] <= 100


def test_generate__another_architecture(make, tiny_run):
    with pytest.raises(CheckpointError, match='of another architecture'):
        make(checkpoint=tiny_run.checkpoint('segmentor'))


def test_generate__a_wrong_checkpoint_leaves_nothing_behind(make, tiny_run, tmp_path):
    with pytest.raises(CheckpointError, match='of another architecture'):
        make(checkpoint=tiny_run.checkpoint('segmentor'))
    assert not (tmp_path / 'out').exists()
    assert len(pixels(make())) == 12


def test_generate__a_claim_without_any_mask_binds_nobody(make, tiny_run, tmp_path):
    (tmp_path / 'out' / 'final').mkdir(parents=True)
    (tmp_path / 'out' / 'in_progress.json').write_text('{"checkpoint_sha256": "another"}')
    (tmp_path / 'out' / 'final' / '.x.png').write_bytes(b'half a file')
    make()
    assert not (tmp_path / 'out' / 'in_progress.json').exists()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'classes': ['a', 'b', 'c', 'd']}, r"classes is \['a', 'b', 'c', 'd'\], that of the config \['TUM'"),
        ({'normalise': 'unit'}, "data_preprocessor.normalise is 'unit', that of the config 'tile'"),
    ],
)  # fmt: skip
def test_generate__a_checkpoint_that_says_otherwise(make, tiny_run, tmp_path, change, message):
    content = checkpoints.load(tiny_run.checkpoint('classifier'))
    content['meta']['arml'].update(change)
    checkpoints.save(content, tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match=message):
        make(checkpoint=tmp_path / 'other.pth')
    assert not (tmp_path / 'out').exists()


def test_generate__faulty_dense_masks_cost_the_scores_alone(tiny_run, tmp_path):
    data = shutil.copytree(tiny_run.data, tmp_path / 'data')
    gone = sorted((data / 'train_mask').glob('*.png'))[2]
    gone.unlink()
    config = load(data, tmp_path / 'store')
    model, checkpoint = config.classifier.model, tiny_run.checkpoint('classifier')
    made = generate(model, checkpoint, config.pseudo_masks, tmp_path / 'out', device='cpu')
    assert (made.scores, made.tiles) == ({}, 12)
    assert gone.name in made.unscored
    assert (tmp_path / 'out' / 'manifest.json').is_file()


def test_score_masks__another_size(tiny_run, tmp_path):
    data = shutil.copytree(tiny_run.data, tmp_path / 'data')
    file = sorted((data / 'train_mask').glob('*.png'))[0]
    Image.new('P', (8, 16)).save(file)
    settings = load(data, tmp_path / 'store').pseudo_masks.dataloader.dataset
    dataset = DATASETS.build({**settings, 'pipeline': []})
    with pytest.raises(
        DataError, match=f'{re.escape(file.name)}: found 8x16 pixels, expected 32x32'
    ):
        score_masks(dataset, {'final': tiny_run.work / 'pseudo_masks' / 'final'})


def test_score_masks__no_tissue(tiny_run, tmp_path):
    data = shutil.copytree(tiny_run.data, tmp_path / 'data')
    for file in (data / 'train_mask').glob('*.png'):
        Image.new('L', (32, 32), 4).save(file)
    settings = load(data, tmp_path / 'store').pseudo_masks.dataloader.dataset
    dataset = DATASETS.build({**settings, 'pipeline': []})
    with pytest.raises(
        DataError, match=r'train_mask: no pixel of its masks is tissue; expected 0\.\.3'
    ):
        score_masks(dataset, {'final': tiny_run.work / 'pseudo_masks' / 'final'})


@pytest.mark.parametrize('workers', [0, 1])
def test_generate__corrupt_tile_is_named(make, tiny_run, tmp_path, workers):
    data = shutil.copytree(tiny_run.data, tmp_path / 'data')
    file = sorted((data / 'train').glob('*.png'))[7]
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(DataError, match='FAKE-train007'):
        make(data=data, num_workers=workers)
    assert not (tmp_path / 'out' / 'manifest.json').exists()


def test_generate__two_processes_share_the_tiles(tiny_run, tmp_path):
    config = load(tiny_run.data, tmp_path / 'store')
    model, checkpoint = config.classifier.model, tiny_run.checkpoint('classifier')
    # The second process alone: nobody makes the other half, and only the first one scores.
    made = generate(model, checkpoint, config.pseudo_masks, tmp_path, rank=1, world=2, device='cpu')
    assert made.scores == {}
    stems = sorted(file.stem for file in (tmp_path / 'final').glob('*.png'))
    assert stems == sorted(pixels(tiny_run.work / 'pseudo_masks' / 'final'))[1::2]
    assert not (tmp_path / 'manifest.json').exists()
