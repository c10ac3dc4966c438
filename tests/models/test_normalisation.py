"""How pixels become the input of a network."""

import pytest
import torch
from mmseg.structures import SegDataSample

import arml.models  # noqa: F401
from arml.errors import ConfigError
from arml.models.normalisation import normalise
from arml.registry import MODELS

MEAN, STD = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]


def tiles():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, 4, 4), generator=generator).float()


@pytest.mark.parametrize('mode', ['dataset', 'tile', 'unit'])
def test_normalise__preprocessor_and_prediction_agree(mode):
    preprocessor = MODELS.build(
        dict(
            type='arml.TissueDataPreProcessor', normalise=mode, mean=MEAN, std=STD, bgr_to_rgb=True
        )
    )
    raw = tiles()
    samples = [SegDataSample() for _ in raw]
    found = preprocessor(dict(inputs=list(raw.byte()), data_samples=samples), False)['inputs']
    torch.testing.assert_close(found, normalise(raw.flip(1), mode, MEAN, STD))


def test_normalise__unit_is_zero_to_one():
    found = normalise(torch.tensor([0.0, 51.0, 255.0]).view(1, 1, 1, 3), 'unit')
    torch.testing.assert_close(found.flatten(), torch.tensor([0.0, 0.2, 1.0]))


def test_normalise__unknown():
    with pytest.raises(ValueError, match="normalise: found 'image', expected one of"):
        normalise(tiles(), 'image')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(normalise='image'), "normalise: found 'image'"),
        (dict(normalise='dataset', mean=None, std=STD), r'data_preprocessor\.mean: found None'),
        (dict(normalise='dataset', mean=MEAN, std=None), r'data_preprocessor\.std: found None'),
        (dict(normalise='tile', epsilon=0), 'epsilon: found 0'),
    ],
)
def test_preprocessor__refuses(options, message):
    with pytest.raises(ConfigError, match=message):
        MODELS.build(dict(type='arml.TissueDataPreProcessor', **options))
