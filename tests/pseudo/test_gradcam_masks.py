"""Masks of Grad-CAM maps against the released order of steps, and through the whole split."""

import json

import numpy as np
import pytest
import torch
from narrow import RELEASED, classifier, naive_grad_cam, tiles
from tiny_run import load
from torch.nn import functional as F  # noqa: N812

from arml.models.classifiers.multi_label import MultiLabelClassifier
from arml.pseudo.generate import generate
from arml.pseudo.gradcam import GradCAMMaps
from arml.pseudo.io import read_mask
from arml.pseudo.maps import resize_maps
from arml.pseudo.rules import MaskRule

LABELS = ((0, 0, 1, 1), (0, 1, 0, 0), (1, 1, 1, 1), (1, 0, 1, 0), (0, 1, 0, 1), (0, 1, 1, 1))


def released_mask(model, image, layer, label) -> tuple[np.ndarray, np.ndarray]:
    """Steps 1 to 6 in the released order; also the pixels where no labelled class is above 0."""
    maps = torch.stack([naive_grad_cam(model, image, layer, index) for index in range(4)])
    full = F.interpolate(maps[None], size=image.shape[2:], mode='bilinear')[0].numpy()
    scaled = (full - full.min()) / (full.max() - full.min())
    for index, given in enumerate(label):
        if not given:
            scaled[index] = 0
    scaled = np.concatenate([scaled, np.zeros_like(scaled[:1])])
    return scaled.argmax(0), scaled.max(0) == 0


@pytest.mark.parametrize('neck', [None, {}])
def test_masks__equal_the_released_steps_but_at_zeros(neck):
    """Where no labelled class is above 0, the released code says class 0, labelled or not."""
    size = 64
    model, images = classifier(neck), tiles(len(LABELS), size)
    present = torch.tensor(LABELS).bool()
    maps = GradCAMMaps(RELEASED)(model, images, present=present)
    different = total = 0
    for layer, found in zip(RELEASED, maps.values(), strict=True):
        for index, label in enumerate(LABELS):
            expected, zero = released_mask(model, images[index : index + 1], layer, label)
            mask = MaskRule('joint')(resize_maps(found[index], (size, size)), present[index]).mask
            wrong = mask != expected
            assert not (wrong & ~zero).any()
            different += int(wrong.sum())
            total += wrong.size
            assert set(np.unique(mask)) <= {k for k in range(4) if label[k]}
    assert different <= 0.001 * total
    assert total == 3 * len(LABELS) * size**2


@pytest.mark.parametrize('normalisation', ['joint', 'per_class'])
def test_masks__of_the_labelled_classes_are_those_of_all(normalisation):
    """Absent classes change the scale of a tile, not which labelled class wins."""
    model, images = classifier({}), tiles(len(LABELS), 64)
    present = torch.tensor(LABELS).bool()
    rule = MaskRule(normalisation)
    few = GradCAMMaps(RELEASED)(model, images, present=present)
    everything = GradCAMMaps(RELEASED)(model, images)
    for name, found in few.items():
        for index in range(len(LABELS)):
            masks = [
                rule(resize_maps(maps[index], (64, 64)), present[index]).mask
                for maps in (found, everything[name])
            ]
            assert (masks[0] != masks[1]).mean() <= 0.001


@pytest.fixture
def make(tiny_run, tmp_path):
    """Make masks of a split with a kind of map; returns the folder."""

    def run(maps, split='train', batch_size=5, out='out'):
        config = load(tiny_run.data, tmp_path / 'store')
        settings = config.pseudo_masks
        settings.maps = maps
        settings.rule = {'type': 'arml.MaskRule'}
        settings.dataloader.batch_size = batch_size
        settings.dataloader.dataset.split = split
        checkpoint = tiny_run.checkpoint('classifier')
        made = generate(config.classifier.model, checkpoint, settings, tmp_path / out, device='cpu')
        assert sorted(path.name for path in (tmp_path / out).iterdir() if path.is_dir()) == sorted(
            made.names
        )
        return tmp_path / out

    return run


def differing(one, other) -> float:
    """Share of pixels in which two folders of masks differ."""
    files = sorted(file.name for file in one.glob('*.png'))
    assert files == sorted(file.name for file in other.glob('*.png'))
    assert files
    return np.mean([(read_mask(one / f) != read_mask(other / f)).mean() for f in files])


@pytest.mark.parametrize('split', ['train', 'val'])
def test_generate__grad_cam_of_features_gives_the_masks_of_weight_maps(make, split):
    weight = make({'type': 'arml.WeightMaps', 'relu': False}, split, out='weight')
    grad = make({'type': 'arml.GradCAMMaps'}, split, out='grad')
    assert differing(weight / 'final', grad / 'final') <= 0.001


def test_generate__several_layers_give_several_masks(make, tiny_run):
    layers = ['net.layer1', 'net.layer2', 'features']
    out = make({'type': 'arml.GradCAMMaps', 'layers': layers})
    manifest = json.loads((out / 'manifest.json').read_text())
    assert manifest['names'] == ['net.layer1', 'net.layer2', 'final']
    assert set(manifest['scores']) == set(manifest['names'])
    alone = make({'type': 'arml.GradCAMMaps', 'layers': layers[:1]}, batch_size=1, out='alone')
    assert differing(out / 'net.layer1', alone / 'final') <= 0.001
    assert differing(out / 'net.layer1', out / 'final') > 0
    for file in (out / 'net.layer1').glob('*.png'):
        allowed = {index for index, digit in enumerate(file.stem[-5:-1]) if digit == '1'}
        assert set(np.unique(read_mask(file)).tolist()) <= allowed


@pytest.mark.parametrize('maps', ['WeightMaps', 'GradCAMMaps'])
@pytest.mark.parametrize(('split', 'number'), [('train', 12), ('val', 6)])
def test_generate__features_of_a_tile_are_computed_once(make, monkeypatch, maps, split, number):
    seen, real = [], MultiLabelClassifier.extract_feat

    def counted(self, inputs):
        seen.append(len(inputs))
        return real(self, inputs)

    monkeypatch.setattr(MultiLabelClassifier, 'extract_feat', counted)
    make({'type': f'arml.{maps}'}, split)
    assert sum(seen) == number


def test_generate__maps_get_the_classes_they_are_gated_with(make, monkeypatch):
    seen, real = [], GradCAMMaps.__call__

    def watched(self, classifier, inputs, features=None, present=None):
        seen.append((features is None, present))
        return real(self, classifier, inputs, features, present)

    monkeypatch.setattr(GradCAMMaps, '__call__', watched)
    out = make({'type': 'arml.GradCAMMaps', 'layers': ['net.layer1']})
    labels = [
        [int(digit) for digit in file.stem[-5:-1]] for file in sorted((out / 'final').glob('*.png'))
    ]
    assert torch.cat([present for _, present in seen]).int().tolist() == labels
    assert all(without for without, _ in seen)
    seen.clear()
    make({'type': 'arml.GradCAMMaps', 'layers': ['net.layer1']}, 'val', out='val')
    assert not any(without for without, _ in seen)
    assert torch.cat([present for _, present in seen]).any(1).all()
