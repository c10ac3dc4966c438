# ruff: noqa: NPY002 - transforms draw from the global state, so its seeding is what is tested
import math

import cv2
import numpy as np
import pytest
from fake_tissue import make_fake, quarters, write_mask, write_tile
from PIL import Image

from arml.datasets import BCSSDataset, EBHIDataset
from arml.datasets.transforms import (
    ImageLabelFromMask,
    LoadTile,
    LoadTissueMask,
    RandomGaussianBlur,
    RandomRotate90,
    RandomStainJitter,
    decode_tile,
    jitter_stain,
    label_from_mask,
    read_raw_mask,
)
from arml.errors import ConfigError, DataError


def _info(path, **more):
    return {'img_path': str(path), 'num_classes': 4, 'background_index': 4, **more}


def test_load_tile__bgr(tmp_path):
    path = write_tile(tmp_path / 'a.png')
    results = LoadTile()(_info(path))
    assert np.array_equal(results['img'][..., ::-1], np.array(Image.open(path)))
    assert results['img'].dtype == np.uint8
    assert results['img_shape'] == results['ori_shape'] == (16, 16)


def test_load_tile__missing(tmp_path):
    with pytest.raises(DataError, match=r'none\.png: cannot be read'):
        LoadTile()(_info(tmp_path / 'none.png'))


@pytest.mark.parametrize('keep', [0, 0.2, 0.6, 0.97])
def test_decode_tile__truncated(tmp_path, keep):
    path = write_tile(tmp_path / 'a.png', size=64)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(DataError, match=r'a\.png: not a readable image'):
        decode_tile(path)


def test_decode_tile__a_flipped_byte_never_passes_silently(tmp_path):
    path = write_tile(tmp_path / 'a.png', size=32)
    content, whole = path.read_bytes(), decode_tile(path)
    refused = 0
    for position in range(60, len(content) - 20, 97):
        damaged = bytearray(content)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        try:
            assert np.array_equal(decode_tile(path), whole), f'byte {position}'
        except DataError:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    ('mode', 'channels'), [('L', '1 channel'), ('RGBA', '4 channel'), ('I;16', '1 channel')]
)
def test_decode_tile__other_channels(tmp_path, mode, channels):
    Image.new(mode, (8, 8)).save(tmp_path / 'a.png')
    with pytest.raises(DataError, match=rf'{channels}\(s\) of uint.*expected 3 of uint8'):
        decode_tile(tmp_path / 'a.png')


@pytest.mark.parametrize(
    ('background', 'index', 'value'),
    [('ignore', 4, 255), ('keep', 4, 4), ('ignore', None, 255), ('keep', None, 255)],
)
def test_load_mask__raw_background(tmp_path, background, index, value):
    mask = write_mask(tmp_path / 'm.png', quarters())
    results = _info('a', seg_map_path=str(mask), seg_fields=[])
    results['background_index'] = index
    results = LoadTissueMask(background)(results)
    expected = np.where(quarters() == 4, value, quarters())
    assert results['gt_seg_map'].dtype == np.uint8
    assert np.array_equal(results['gt_seg_map'], expected)
    assert results['seg_fields'] == ['gt_seg_map']


def test_load_mask__ebhi_never_gives_background(tmp_path):
    root = make_fake(tmp_path)
    pipeline = [{'type': 'arml.LoadTile'}, {'type': 'arml.LoadTissueMask', 'background': 'keep'}]
    ebhi = EBHIDataset(str(root), 'val', masks='dense', pipeline=pipeline)
    assert set(np.unique(ebhi[0]['gt_seg_map'])) == {0, 1, 2, 255}
    bcss = BCSSDataset(str(root), 'val', masks='dense', pipeline=pipeline)
    assert set(np.unique(bcss[0]['gt_seg_map'])) == {0, 1, 2, 4}


@pytest.mark.parametrize(('value', 'pseudo'), [(5, False), (255, False), (5, True), (254, True)])
def test_load_mask__value_out_of_range(tmp_path, value, pseudo):
    path = write_mask(tmp_path / 'm.png', value)
    with pytest.raises(DataError, match=rf'm\.png: mask value {value} \(256 pixels\); expected 0'):
        LoadTissueMask()(_info('a', seg_map_path=str(path), pseudo=pseudo))


def test_load_mask__pseudo_may_ignore(tmp_path):
    path = write_mask(tmp_path / 'm.png', 255)
    results = LoadTissueMask()(_info('a', seg_map_path=str(path), pseudo=True))
    assert (results['gt_seg_map'] == 255).all()


def test_load_mask__other_size(tmp_path):
    image = write_tile(tmp_path / 'a.png', size=16)
    mask = write_mask(tmp_path / 'm.png', 0, size=8)
    results = LoadTile()(_info(image, seg_map_path=str(mask)))
    with pytest.raises(DataError, match=r'm\.png: the mask is 8x8; expected 16x16'):
        LoadTissueMask()(results)


def test_load_mask__no_masks():
    with pytest.raises(ConfigError, match='the data set has no masks'):
        LoadTissueMask()(_info('a'))


def test_load_mask__unknown_word():
    with pytest.raises(ConfigError, match=r"background='drop': expected 'ignore'/'keep'"):
        LoadTissueMask('drop')


def test_read_raw_mask__colours_are_refused(tmp_path):
    path = write_tile(tmp_path / 'm.png')
    with pytest.raises(DataError, match=r"mode 'RGB'; expected a palette PNG"):
        read_raw_mask(path)


def test_read_raw_mask__damaged_or_missing(tmp_path):
    path = write_mask(tmp_path / 'm.png', quarters(64))
    path.write_bytes(path.read_bytes()[:-40])
    for broken in (path, tmp_path / 'none.png'):
        with pytest.raises(DataError, match=rf'{broken.name}: not a readable mask'):
            read_raw_mask(broken)


@pytest.mark.parametrize('share', [0.0, 0.02, 0.3])
def test_label_from_mask__naive(share):
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = rng.choice([0, 1, 2, 3, 4, 255], (9, 7), p=rng.dirichlet([0.3] * 6)).astype(np.uint8)
        expected = []
        for value in range(4):
            count = sum(pixel == value for row in mask.tolist() for pixel in row)
            expected.append(int(count > 0 and count / 63 >= share))
        assert label_from_mask(mask, 4, share) == tuple(expected)


def test_image_label__from_mask_or_kept():
    results = _info('a', gt_seg_map=quarters(), presence_share=0.3)
    assert ImageLabelFromMask(0.0)(dict(results))['image_label'] == (1, 1, 1, 0)
    assert ImageLabelFromMask()(dict(results))['image_label'] == (0, 0, 0, 0)
    named = ImageLabelFromMask()({**results, 'image_label': (0, 0, 0, 1)})
    assert named['image_label'] == (0, 0, 0, 1)


def test_image_label__no_mask():
    with pytest.raises(ConfigError, match='needs LoadTissueMask before it'):
        ImageLabelFromMask()(_info('a'))


def test_pipeline__packs_label_and_mask(tmp_path):
    root = make_fake(tmp_path)
    pipeline = [
        {'type': 'arml.LoadTile'},
        {'type': 'arml.LoadTissueMask'},
        {'type': 'arml.ImageLabelFromMask'},
        {'type': 'mmseg.Resize', 'scale': (24, 24)},
        {'type': 'mmseg.RandomFlip', 'prob': 1.0},
        {'type': 'mmseg.PhotoMetricDistortion'},
        {'type': 'arml.PackTissueInputs'},
    ]
    sample = BCSSDataset(str(root), 'val', masks='dense', pipeline=pipeline)[0]
    packed = sample['data_samples']
    assert sample['inputs'].shape == (3, 24, 24)
    assert str(sample['inputs'].dtype) == 'torch.uint8'
    assert packed.gt_sem_seg.data.shape == (1, 24, 24)
    assert str(packed.gt_sem_seg.data.dtype) == 'torch.int64'
    assert packed.image_label == (1, 1, 1, 0)
    assert packed.ori_shape == (16, 16)
    assert packed.flip is True
    assert packed.gt_sem_seg.data[0, 0, 0] == 1  # flipped: STR was on the right


def test_pipeline__weak_training_has_no_mask(tmp_path):
    pipeline = [{'type': 'arml.LoadTile'}, {'type': 'arml.PackTissueInputs', 'meta_keys': ['x']}]
    sample = BCSSDataset(str(make_fake(tmp_path)), 'train', pipeline=pipeline)[0]
    assert 'gt_sem_seg' not in sample['data_samples']
    assert sample['data_samples'].image_label == (1, 1, 0, 1)


def _naive_jitter(pixel_bgr, scale, shift):
    vectors = [[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]]
    vectors = [[x / math.hypot(*row) for x in row] for row in vectors]
    density = [-math.log((value + 1) / 256) for value in reversed(pixel_bgr)]
    stains = np.linalg.solve(np.array(vectors).T, density)
    stains = [s * a + b for s, a, b in zip(stains, scale, shift, strict=True)]
    rgb = [
        256 * math.exp(-sum(stains[k] * vectors[k][channel] for k in range(3))) - 1
        for channel in range(3)
    ]
    return [min(max(value, 0), 255) for value in reversed(rgb)]


def test_jitter_stain__naive():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    scale, shift = np.array([1.2, 0.7, 1.05]), np.array([0.02, -0.03, 0.01])
    result = jitter_stain(image, scale, shift)
    for row in range(5):
        for column in range(4):
            expected = _naive_jitter(image[row, column].tolist(), scale, shift)
            assert np.abs(result[row, column] - np.array(expected)).max() <= 0.51


def test_jitter_stain__identity_and_white():
    image = np.random.default_rng(2).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert np.array_equal(jitter_stain(image, np.ones(3), np.zeros(3)), image)
    white = np.full((2, 2, 3), 255, np.uint8)
    assert np.array_equal(jitter_stain(white, np.array([0.5, 1.5, 1.2]), np.zeros(3)), white)


def test_rotate__image_and_mask_alike():
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    mask = image[..., 0].copy()
    np.random.seed(0)
    seen = set()
    for _ in range(30):
        results = {'img': image, 'gt_seg_map': mask, 'seg_fields': ['gt_seg_map']}
        results = RandomRotate90(1.0)(results)
        assert np.array_equal(results['img'][..., 0], results['gt_seg_map'])
        assert results['img_shape'] == results['img'].shape[:2]
        seen.add(results['gt_seg_map'].tobytes() + bytes(results['img_shape']))
    assert len(seen) == 3
    assert mask.tobytes() + bytes((2, 3)) not in seen


def test_blur__image_only():
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.random.seed(0)
    sigma = np.random.RandomState(0)
    sigma.rand()
    expected = cv2.GaussianBlur(image, (3, 3), sigma.uniform(0.1, 2.0))
    results = RandomGaussianBlur(1.0)({'img': image, 'gt_seg_map': quarters(8)})
    assert np.array_equal(results['img'], expected)
    assert np.array_equal(results['gt_seg_map'], quarters(8))


@pytest.mark.parametrize('transform', [RandomRotate90, RandomGaussianBlur, RandomStainJitter])
def test_augment__prob(transform):
    image = np.random.default_rng(4).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert transform(prob=0.0)({'img': image})['img'] is image
    np.random.seed(0)
    changed = sum(
        not np.array_equal(transform(prob=0.5)({'img': image})['img'], image) for _ in range(100)
    )
    assert 30 < changed < 70
    with pytest.raises(ConfigError, match=r'prob=1\.5: expected a number in'):
        transform(prob=1.5)


@pytest.mark.parametrize('arguments', [{'strength': 1.5}, {'strength': -0.1}, {'shift': -1}])
def test_stain_jitter__out_of_range(arguments):
    with pytest.raises(ConfigError, match=r'expected strength in\s+\[0, 1\] and shift >= 0'):
        RandomStainJitter(**arguments)


@pytest.mark.parametrize('arguments', [{'sigma': (0, 1)}, {'sigma': (2, 1)}, {'kernel': 4}])
def test_blur__out_of_range(arguments):
    with pytest.raises(ConfigError, match=r'0 < sigma\[0\] <= sigma\[1\] and an odd kernel'):
        RandomGaussianBlur(**arguments)
