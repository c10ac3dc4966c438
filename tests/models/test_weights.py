"""Pretrained weights: found, read safely, and explained when they cannot be had."""

import hashlib
import pickle
import urllib.error

import pytest
import timm
import torch
from mmengine.model import BaseModule, initialize
from safetensors.torch import save_file
from torch import nn

from arml.errors import CheckpointError, ConfigError
from arml.models import timm_weights, weights
from arml.models.backbones.timm_backbone import TimmBackbone


class Net(BaseModule):
    def __init__(self, init_cfg=None) -> None:
        super().__init__(init_cfg)
        self.conv = nn.Conv2d(3, 4, 1)
        self.bn = nn.BatchNorm2d(4)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty hub folder and no network."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))

    def refuse(*args, **kwargs):
        raise urllib.error.URLError('no route to host')

    monkeypatch.setattr('urllib.request.urlopen', refuse)
    monkeypatch.setattr('huggingface_hub.try_to_load_from_cache', lambda *args, **kwargs: None)
    return tmp_path / 'hub' / 'checkpoints'


def test_pretrained__fills_the_network_and_leaves_the_classifier(tmp_path):
    donor = Net()
    state = {**donor.state_dict(), 'fc.weight': torch.zeros(2)}
    path = tmp_path / 'weights.pth'
    torch.save({'state_dict': state}, path)
    net = Net(init_cfg={'type': 'Pretrained', 'checkpoint': str(path)})
    net.init_weights()
    for name, value in net.state_dict().items():
        assert torch.equal(value, donor.state_dict()[name])
    assert weights.fill(Net(), weights.read_weights(path), path) == ['fc.weight']


def test_pretrained__safetensors_and_prefix(tmp_path):
    donor = Net()
    path = tmp_path / 'weights.safetensors'
    save_file({f'backbone.{name}': value for name, value in donor.state_dict().items()}, path)
    net = Net()
    initialize(net, {'type': 'Pretrained', 'checkpoint': str(path), 'prefix': 'backbone.'})
    assert torch.equal(net.conv.weight, donor.conv.weight)
    with pytest.raises(CheckpointError, match="no tensor below 'neck'"):
        weights.read_weights(path, 'neck')


def test_pretrained__takes_the_place_of_mmengines_for_mmseg_networks(tmp_path):
    from mmseg.models.backbones import ResNet

    path = tmp_path / 'other.pth'
    torch.save({'x': torch.zeros(1)}, path)
    net = ResNet(depth=18, init_cfg={'type': 'Pretrained', 'checkpoint': str(path)})
    with pytest.raises(CheckpointError, match='do not fit ResNet: .* tensors missing'):
        net.init_weights()


def test_pretrained__other_shapes_are_refused(tmp_path):
    state = Net().state_dict()
    state['conv.weight'] = torch.zeros(4, 1, 1, 1)
    with pytest.raises(CheckpointError, match=r'conv.weight \(4, 1, 1, 1\) instead of \(4, 3'):
        weights.fill(Net(), state, 'file.pth')


def test_pretrained__missing_file_is_explained(tmp_path):
    path = tmp_path / 'res38d.pth'
    net = Net(init_cfg={'type': 'Pretrained', 'checkpoint': str(path)})
    with pytest.raises(CheckpointError) as caught:
        net.init_weights()
    message = str(caught.value)
    assert f'pretrained weights {path}: no such file' in message
    assert f'Put the file at {path}' in message
    assert 'from scratch: --cfg-options start=scratch' in message


def test_weights_error__what_else_there_is_to_know_comes_last():
    message = str(weights.weights_error('a.pth', 'no such file', '/x/a.pth', 'start=no', 'And so.'))
    assert message.startswith('pretrained weights a.pth: no such file. Put the file at /x/a.pth')
    assert message.endswith('from scratch: start=no. And so.')


def nets(*settings):
    with torch.device('meta'):
        return nn.ModuleList([Net(init_cfg) for init_cfg in settings])


def test_initial__is_read_once_and_compared(tmp_path, monkeypatch):
    fits, other = tmp_path / 'fits.pth', tmp_path / 'other.pth'
    torch.save(Net().state_dict(), fits)
    torch.save({**Net().state_dict(), 'bn.weight': torch.zeros(7)}, other)
    pretrained = {'type': 'Pretrained', 'checkpoint': str(fits)}
    read, found = weights.read_weights, []
    monkeypatch.setattr(weights, 'read_weights', lambda *a: found.append(a[0]) or read(*a))
    constant = {'type': 'Constant', 'layer': 'Conv2d', 'val': 0}
    weights.check_initial(nets(pretrained, pretrained, [constant, pretrained], None))
    assert found == [str(fits)]
    weights.check_initial(nets({'type': 'Pretrained', 'checkpoint': None}))  # bound to a product
    with pytest.raises(CheckpointError, match=r'other\.pth do not fit Net: .*bn\.weight \(7,\)'):
        weights.check_initial(nets(pretrained, {**pretrained, 'checkpoint': str(other)}))
    with pytest.raises(CheckpointError, match=r"no tensor below 'neck'"):
        weights.check_initial(nets({**pretrained, 'prefix': 'neck'}))


def test_initial__of_a_timm_backbone(hub, tmp_path, capsys):
    torch.save(timm.create_model('resnet18').state_dict(), tmp_path / 'fits.pth')
    torch.save(timm.create_model('resnet26', pretrained=False).state_dict(), tmp_path / 'own.pth')
    with torch.device('meta'):
        hubs = TimmBackbone('resnet18')
        own = TimmBackbone('resnet18', checkpoint=str(tmp_path / 'own.pth'))
        scratch = TimmBackbone('resnet18', pretrained=False)
    weights.check_initial(scratch)
    with pytest.raises(CheckpointError, match='cannot be reached'):
        weights.check_initial(hubs)
    with pytest.raises(CheckpointError, match=r'own\.pth do not fit'):
        weights.check_initial(own)
    assert next(own.parameters()).is_meta
    with torch.device('meta'):
        fits = TimmBackbone('resnet18', checkpoint=str(tmp_path / 'fits.pth'))
    weights.check_initial(fits)
    assert 'conv1' not in capsys.readouterr().out  # no list of parameters


def test_pretrained__code_in_a_file_is_not_executed(tmp_path):
    flag = tmp_path / 'executed'

    class Evil:
        def __reduce__(self):
            return (flag.write_text, ('x',))

    path = tmp_path / 'evil.pth'
    path.write_bytes(pickle.dumps({'state_dict': Evil()}))
    torch.save({'state_dict': Evil()}, tmp_path / 'evil2.pth')
    for name in ('evil.pth', 'evil2.pth'):
        with pytest.raises(CheckpointError):
            Net(init_cfg={'type': 'Pretrained', 'checkpoint': str(tmp_path / name)}).init_weights()
    assert not flag.exists()


def test_download__unreachable_host(hub):
    url = 'https://example.org/models/net-0123abcd.pth'
    with pytest.raises(CheckpointError) as caught:
        weights.read_weights(url)
    message = str(caught.value)
    assert f'pretrained weights {url}: cannot be downloaded (no route to host)' in message
    assert str(hub / 'net-0123abcd.pth') in message
    assert 'from scratch: --cfg-options' in message
    assert not list(hub.glob('*'))


def test_download__file_already_there_is_used(hub):
    hub.mkdir(parents=True)
    torch.save(Net().state_dict(), hub / 'net.pth')
    assert 'conv.weight' in weights.read_weights('https://example.org/net.pth')


def test_download__content_is_checked_against_its_name(hub, tmp_path, monkeypatch):
    source = tmp_path / 'served'
    source.write_bytes(b'content')
    monkeypatch.setattr('urllib.request.urlopen', lambda *args, **kwargs: source.open('rb'))
    digest = hashlib.sha256(b'content').hexdigest()[:8]
    good = weights.download(f'https://example.org/net-{digest}.pth')
    assert good.read_bytes() == b'content'
    with pytest.raises(CheckpointError, match='has SHA-256'):
        weights.download('https://example.org/net-00000000.pth')
    assert [path.name for path in hub.iterdir()] == [good.name]


def test_model_zoo_url__names(hub):
    assert weights.model_zoo_url('open-mmlab://resnest101').endswith('.pth')
    assert 'resnet50' in weights.model_zoo_url('torchvision://resnet50')
    with pytest.raises(CheckpointError, match="open-mmlab:// has no 'nothing'"):
        weights.model_zoo_url('open-mmlab://nothing')


def test_timm_backbone__weights_that_cannot_be_had(hub):
    net = TimmBackbone('resnet18', output_stride=8)
    with pytest.raises(CheckpointError) as caught:
        net.init_weights()
    message = str(caught.value)
    assert 'timm/resnet18' in message
    assert 'cannot be reached (no route to host)' in message
    assert 'checkpoint=PATH' in message
    assert 'classifier.model.backbone.pretrained=False' in message
    assert ' model.backbone.pretrained' not in message  # no config has its classifier there


def test_timm_backbone__weights_from_the_hub_cache(hub, tmp_path, monkeypatch):
    donor = timm.create_model('resnet18', pretrained=False)
    path = tmp_path / 'model.safetensors'
    save_file(donor.state_dict(), path)
    monkeypatch.setattr('huggingface_hub.try_to_load_from_cache', lambda *args, **kwargs: str(path))
    net = TimmBackbone('resnet18', output_stride=8, out_indices=(2,))
    net.init_weights()
    assert torch.equal(net.net.conv1.weight, donor.conv1.weight)
    assert torch.equal(net.net.layer2[0].conv1.weight, donor.layer2[0].conv1.weight)


def test_timm_backbone__checkpoint_of_ones_own(hub, tmp_path):
    donor = timm.create_model('resnet18', pretrained=False)
    torch.save(donor.state_dict(), tmp_path / 'own.pth')
    net = TimmBackbone('resnet18', checkpoint=str(tmp_path / 'own.pth'))
    net.init_weights()
    assert torch.equal(net.net.layer4[1].conv2.weight, donor.layer4[1].conv2.weight)


def test_timm_backbone__other_weights_are_refused(hub, tmp_path):
    donor = timm.create_model('resnet26', pretrained=False)
    torch.save(donor.state_dict(), tmp_path / 'own.pth')
    net = TimmBackbone('resnet18', checkpoint=str(tmp_path / 'own.pth'))
    with pytest.raises(CheckpointError, match='own.pth do not fit'):
        net.init_weights()


def test_timm_backbone__from_scratch_needs_no_hub(hub):
    net = TimmBackbone('resnet18', pretrained=False)
    net.init_weights()
    assert all(torch.isfinite(value).all() for value in net.parameters())


@pytest.mark.parametrize(
    ('name', 'arguments', 'channels', 'stride'),
    [
        ('resnet18', {'output_stride': 8}, [512], 8),
        ('resnet18', {}, [512], 32),
        ('resnest101e', {'output_stride': 8, 'out_indices': (1, 2)}, [256, 512], 8),
    ],
)
def test_timm_backbone__channels_and_strides(name, arguments, channels, stride):
    net = TimmBackbone(name, pretrained=False, **arguments).eval()
    maps = net(torch.randn(1, 3, 64, 64))
    assert [m.shape[1] for m in maps] == channels == net.channels
    assert maps[-1].shape[2] == 64 // stride
    assert net.strides[-1] == stride


def test_timm_backbone__norm_eval():
    assert not TimmBackbone('resnet18', pretrained=False, norm_eval=True).train().net.bn1.training
    assert TimmBackbone('resnet18', pretrained=False).train().net.bn1.training


def test_timm_backbone__refuses():
    with pytest.raises(ConfigError, match="has no 'resnet19'"):
        TimmBackbone('resnet19')
    with pytest.raises(ConfigError, match='timm cannot build resnet18'):
        TimmBackbone('resnet18', pretrained=False, output_stride=7)


def test_timm_state_dict__unpublished_weights(monkeypatch):
    monkeypatch.setattr(timm, 'get_pretrained_cfg', lambda name: None)
    with pytest.raises(CheckpointError, match='timm publishes none'):
        timm_weights.timm_state_dict('resnet18', 'pretrained=False')


def test_hub_file__the_hub_answers_without_the_file(monkeypatch):
    import huggingface_hub as hub

    def missing(repo, name, **kwargs):
        error = hub.errors.EntryNotFoundError.__new__(hub.errors.EntryNotFoundError)
        raise error

    monkeypatch.setattr(timm_weights, 'unreachable', lambda endpoint: '')
    monkeypatch.setattr(hub, 'try_to_load_from_cache', lambda *args, **kwargs: None)
    monkeypatch.setattr(hub, 'hf_hub_download', missing)
    with pytest.raises(CheckpointError, match='the hub has no model.safetensors or pytorch'):
        timm_weights.hub_file('timm/x', 'x', 'pretrained=False')


def test_locate__home_folder_as_the_keys_of_products_read_it(tmp_path, monkeypatch):
    from arml.pipeline.keys import content_of

    monkeypatch.setenv('HOME', str(tmp_path))
    torch.save({'x': torch.ones(1)}, tmp_path / 'w.pth')
    assert weights.locate('~/w.pth') == tmp_path / 'w.pth'
    assert content_of('~/w.pth') == content_of(str(tmp_path / 'w.pth'))
