"""ResNet38d against the table of its architecture."""

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from arml.errors import ConfigError
from arml.models.backbones.resnet38 import STAGES, ResNet38d
from arml.models.backbones.resnet38_blocks import BasicBlock, BottleneckBlock
from arml.registry import MODELS

NORM = {'type': 'BN', 'requires_grad': False}


@pytest.fixture(scope='module')
def network() -> ResNet38d:
    torch.manual_seed(0)
    network = ResNet38d(out_indices=(0, 1, 2, 3))
    network.init_weights()
    return network


def meta_network(**arguments) -> ResNet38d:
    with torch.device('meta'):
        return ResNet38d(**arguments)


def test_resnet38__parameters_and_tap_shapes_at_224():
    network = meta_network(out_indices=(0, 1, 2, 3))
    assert sum(p.numel() for p in network.parameters()) == 105_070_912
    taps = network(torch.empty(1, 3, 224, 224, device='meta'))
    assert [tuple(tap.shape[1:]) for tap in taps] == [
        (256, 56, 56),
        (512, 28, 28),
        (1024, 28, 28),
        (4096, 28, 28),
    ]


def test_resnet38__registered():
    with torch.device('meta'):
        assert isinstance(MODELS.build({'type': 'arml.ResNet38d'}), ResNet38d)


def test_resnet38__taps_keep_their_scale_and_are_not_negative(network):
    network.eval()
    with torch.no_grad():
        taps = network(torch.randn(2, 3, 32, 32))
    for tap, scale in zip(taps, (1, 1, 1, 0.1), strict=True):
        assert tap.min() >= 0
        assert 0.2 * scale < tap.std() < 5 * scale


def test_resnet38__tap_is_the_activated_input_of_its_block(network):
    network.eval()
    seen = {}
    hook = network.b4_5.register_forward_hook(lambda *args: seen.update(x=args[2]))
    with torch.no_grad():
        tap = network(torch.randn(1, 3, 16, 16))[1]
        hook.remove()
        assert torch.equal(tap, network.b5.bn_branch2a(seen['x']).relu())


def test_resnet38__frozen_blocks_and_norms_after_train(network):
    network.train()
    for name in STAGES[1] + STAGES[2]:
        block = getattr(network, name)
        assert not block.training
        assert not any(p.requires_grad for p in block.parameters())
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            assert not module.training
            assert not module.weight.requires_grad
    assert network.b3.training
    assert network.b3.conv_branch2a.weight.requires_grad
    assert network.b7.dropout_2b1.training


def test_resnet38__frozen_blocks_build_no_graph(network):
    network.train()
    seen = {}
    hooks = [
        getattr(network, name).register_forward_hook(
            lambda module, inputs, out, name=name: seen.update({name: out})
        )
        for name in ('b2_2', 'b3')
    ]
    network(torch.randn(1, 3, 16, 16))
    assert not seen['b2_2'].requires_grad
    assert seen['b3'].requires_grad
    network(torch.randn(1, 3, 16, 16, requires_grad=True))
    assert seen['b2_2'].requires_grad
    for hook in hooks:
        hook.remove()


def test_resnet38__norms_can_be_trained():
    network = meta_network(norm_eval=False, norm_cfg={'requires_grad': True}, frozen_stages=0)
    network.train()
    assert network.bn7.training
    assert all(p.requires_grad for p in network.parameters())


def test_resnet38__unused_blocks_are_not_trained():
    network = meta_network(out_indices=(1,), norm_cfg={'requires_grad': True})
    names = {name for name, p in network.named_parameters() if p.requires_grad}
    assert not any(name.startswith(('b5_1', 'b6', 'b7', 'bn7')) for name in names)
    assert {n for n in names if n.startswith('b5')} == {
        'b5.bn_branch2a.weight',
        'b5.bn_branch2a.bias',
    }
    assert [tuple(x.shape) for x in network(torch.empty(1, 3, 32, 32, device='meta'))] == [
        (1, 512, 4, 4)
    ]


def test_resnet38__dilations_and_dropouts_are_leaves():
    network = meta_network(dilations={'b7': 2}, dropouts={'b6': 0.1})
    assert network.b7.conv_branch2b1.dilation == (2, 2)
    assert network.b6.conv_branch2b1.dilation == (4, 4)
    assert network.b5.conv_branch2a.dilation == (1, 1)
    assert network.b5.conv_branch2b1.dilation == (2, 2)
    assert network.b5_1.conv_branch2a.dilation == (2, 2)
    assert (network.b6.dropout_2b1.p, network.b7.dropout_2b2.p) == (0.1, 0.5)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'out_indices': (4,)}, r'out_indices: found \(4,\)'),
        ({'out_indices': ()}, 'out_indices'),
        ({'out_indices': (3, 1)}, 'ascending'),
        ({'frozen_stages': 8}, 'frozen_stages: found 8'),
        ({'dilations': {'b8': 2}}, "dilations: found block 'b8'"),
        ({'dilations': {'b5': 0}}, 'dilations.b5: found 0'),
        ({'dropouts': {'b6': 1.0}}, 'dropouts.b6: found 1.0'),
    ],
)
def test_resnet38__refuses(arguments, message):
    with pytest.raises(ConfigError, match=message):
        meta_network(**arguments)


def test_basic_block__shortcut_takes_the_activated_input():
    block = BasicBlock(2, 3, 4, NORM, stride=2).eval()
    x = torch.randn(1, 2, 6, 6)
    block.conv_branch2b1.weight.data.zero_()
    activated = block.bn_branch2a(x).relu()
    torch.testing.assert_close(block(x), block.conv_branch1(activated))
    same = BasicBlock(2, 3, 2, NORM).eval()
    same.conv_branch2b1.weight.data.zero_()
    torch.testing.assert_close(same(x), x)


def test_bottleneck_block__widths():
    block = BottleneckBlock(8, 16, NORM, dilation=4, dropout=0.5)
    widths = [block.conv_branch2a, block.conv_branch2b1, block.conv_branch2b2]
    assert [conv.out_channels for conv in widths] == [4, 8, 16]
    assert [conv.kernel_size[0] for conv in widths] == [1, 3, 1]
    assert block(torch.randn(1, 8, 5, 5)).shape == (1, 16, 5, 5)


def test_resnet38__is_an_mmseg_backbone():
    from mmseg.registry import MODELS as MMSEG_MODELS
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    with torch.device('meta'):
        segmentor = MMSEG_MODELS.build(
            {
                'type': 'EncoderDecoder',
                'backbone': {'type': 'arml.ResNet38d', 'out_indices': (1, 3)},
                'decode_head': {
                    'type': 'PSPHead',
                    'in_channels': 4096,
                    'in_index': 1,
                    'channels': 8,
                    'num_classes': 4,
                    'pool_scales': (1, 2),
                    'norm_cfg': {'type': 'BN'},
                },
            }
        ).eval()
        assert segmentor._forward(torch.empty(1, 3, 32, 32)).shape == (1, 4, 4, 4)
