"""The cure of the clash of CPU torch and CUDA torchvision does nothing where the two match."""

import importlib.machinery
import importlib.util

import pytest
import torch

from arml import compat


@pytest.fixture
def torchvision(tmp_path, monkeypatch):
    """Pretend that a torchvision with this version is installed; None: none is."""

    def install(version: str | None, cuda: str | None = None, hip: str | None = None):
        spec = None
        if version is not None:
            (tmp_path / '__init__.py').touch()
            (tmp_path / 'version.py').write_text(f"__version__ = '{version}'\ncuda = None\n")
            spec = importlib.machinery.ModuleSpec(
                'torchvision', None, origin=str(tmp_path / '__init__.py')
            )
        monkeypatch.setattr(importlib.util, 'find_spec', lambda name: spec)
        monkeypatch.setattr(torch.version, 'cuda', cuda)
        monkeypatch.setattr(torch.version, 'hip', hip, raising=False)
        return tmp_path

    return install


@pytest.mark.parametrize(
    ('version', 'cuda', 'hip', 'clash'),
    [
        ('0.28.0+cu130', None, None, True),
        ('0.28.0+cpu', None, None, False),
        ('0.28.0', None, None, False),
        ('0.28.0+cu130', '13.0', None, False),
        ('0.28.0+cu130', None, '6.4', False),
        (None, None, None, False),
    ],
)
def test_compat__clash(torchvision, version, cuda, hip, clash):
    torchvision(version, cuda, hip)
    assert compat.torchvision_clashes() is clash


def test_compat__torchvision_without_a_version_file(torchvision):
    (torchvision('0.28.0+cu130') / 'version.py').unlink()
    assert compat.torchvision_clashes() is False


def test_compat__nothing_is_declared_where_they_match(torchvision, monkeypatch):
    torchvision('0.28.0+cpu')
    monkeypatch.setattr(compat, '_library', None)
    monkeypatch.setattr(torch.library, 'Library', lambda *_: pytest.fail('declared'))
    assert compat.cure_torchvision() is False


def test_compat__declared_once(torchvision, monkeypatch):
    torchvision('0.28.0+cu130')
    made = []

    class Library:
        def __init__(self, name: str, kind: str) -> None:
            made.append((name, kind))

        def define(self, schema: str) -> None:
            made.append(schema.split('(')[0])

    monkeypatch.setattr(compat, '_library', None)
    monkeypatch.setattr(torch.library, 'Library', Library)
    assert compat.cure_torchvision() is True
    assert compat.cure_torchvision() is False
    assert made == [('torchvision', 'DEF'), 'nms', 'qnms']


def test_compat__timm_can_be_imported_here():
    import timm
    import torchvision.transforms

    assert timm.__version__
    assert torchvision.transforms
