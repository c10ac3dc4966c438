"""Which classes the tiles of the pseudo-mask benchmark have."""

import pytest

from arml.benchmark.pseudo_masks import label_mix
from arml.errors import ConfigError, DataError


def test_label_mix__of_the_synthetic_tissue():
    present = label_mix(100, 4, None, seed=0)
    assert present.shape == (100, 4)
    assert present.any(1).all()
    assert present.sum(1).float().mean() == pytest.approx(2.57, abs=0.02)
    assert present.equal(label_mix(100, 4, None, seed=0))
    few = label_mix(8, 4, None, seed=1)
    assert few.sum(1).float().mean() == pytest.approx(2.57, abs=0.2)


def test_label_mix__of_a_data_folder(fake_tissue):
    present = label_mix(12, 4, str(fake_tissue), seed=0)
    names = [path.name for path in (fake_tissue / 'train').glob('*.png')]
    labels = sorted(name[name.index('[') + 1 : -5] for name in names)
    assert sorted(''.join(str(int(v)) for v in row) for row in present) == labels


def test_label_mix__refuses_what_has_no_labels(tmp_path):
    with pytest.raises(ConfigError, match='the classifier has 3 classes, the synthetic tissue 4'):
        label_mix(4, 3, None, seed=0)
    with pytest.raises(DataError, match='no such folder'):
        label_mix(4, 4, str(tmp_path / 'none'), seed=0)
    (tmp_path / 'train').mkdir()
    with pytest.raises(ConfigError, match='no training tile with a label'):
        label_mix(4, 4, str(tmp_path), seed=0)
