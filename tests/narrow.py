"""ResNet38d at a sixteenth of its width, and classifiers on it: what maps from gradients are tested on."""

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from arml.models.backbones.resnet38 import ResNet38d
from arml.models.backbones.resnet38_blocks import BasicBlock, BottleneckBlock
from arml.models.classifiers.head import LinearMapHead
from arml.registry import MODELS

WIDTH = 256
#: The layers of the released masks.
RELEASED = ('b4_5', 'b5_2', 'bn7')
#: Of five tiles: with one class, two, three and none.
LABELS = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 1, 1]]).bool()
NECKS = {
    'none': None,
    'off': {'enabled': False},
    'active': {},
    'released': {'reactivation': 'released', 'softmax_dim': 'height', 'mask_self': False},
    'training only': {'at_inference': False},
}


class NarrowResNet38d(ResNet38d):
    """The same blocks, names and forward pass with few channels; norms that do something."""

    def __init__(self) -> None:
        BaseModule.__init__(self)
        self.out_indices, self._last_tap_block = (3,), None
        self.frozen_stages, self.norm_eval, self.norm_requires_grad = 2, True, False
        norm = {'type': 'BN', 'requires_grad': False}
        self.conv1a = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self._add_blocks('b2', 3, 4, 8, 8, norm, stride=2)
        self._add_blocks('b3', 3, 8, 16, 16, norm, stride=2)
        self._add_blocks('b4', 6, 16, 32, 32, norm, stride=2)
        self.b5 = BasicBlock(32, 32, 64, norm, first_dilation=1, dilation=2)
        self.b5_1 = BasicBlock(64, 32, 64, norm, first_dilation=2, dilation=2)
        self.b5_2 = BasicBlock(64, 32, 64, norm, first_dilation=2, dilation=2)
        self.b6 = BottleneckBlock(64, 128, norm, 4, 0.3)
        self.b7 = BottleneckBlock(128, WIDTH, norm, 4, 0.5)
        self.bn7 = build_norm_layer(norm, WIDTH)[1]
        self.relu7 = nn.ReLU()
        self._freeze()


def classifier(neck: dict | None = None, **changes) -> nn.Module:
    """A classifier of four classes in evaluation mode, with random but lively weights."""
    torch.manual_seed(0)
    if neck is not None:
        neck = {'type': 'arml.ARSNeck', 'in_channels': WIDTH, 'gamma_init': 0.5, **neck}
    model = MODELS.build(
        {
            'type': 'arml.MultiLabelClassifier',
            'backbone': {'type': NarrowResNet38d},
            'neck': neck,
            'head': {'type': 'arml.LinearMapHead', 'num_classes': 4, 'in_channels': WIDTH},
            'data_preprocessor': {'type': 'mmseg.SegDataPreProcessor'},
            **changes,
        }
    )
    model.backbone.init_weights()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    if isinstance(model.backbone, NarrowResNet38d):
        nn.init.uniform_(model.backbone.bn7.weight, 0.5, 1.5)
    if neck is not None and model.neck.enabled:
        nn.init.normal_(model.neck.reactivation.conv.weight, std=0.1)
    return model.eval()


def tiles(number: int, size: int = 32) -> Tensor:
    """Random images (N, 3, size, size)."""
    return torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(1))


class SquareHead(LinearMapHead):
    """Its score is not the mean of its class maps, and its gradients are not the same at every position."""

    def scores(self, features):
        return self.classifier(F.adaptive_avg_pool2d(features**2, 1)).flatten(1)


def count_passes(patch) -> list[int]:
    """For each backward pass the number of layers it goes to, 0 where it only tries the head.

    Args:
        patch: pytest's ``monkeypatch``.
    """
    real, seen = torch.autograd.grad, []

    def counted(outputs, inputs, **options):
        seen.append(len(inputs) if isinstance(inputs, list) else 0)
        return real(outputs, inputs, **options)

    patch.setattr(torch.autograd, 'grad', counted)
    return seen


def naive_gradients(
    model: nn.Module, image: Tensor, layer: str, index: int
) -> tuple[Tensor, Tensor]:
    """What a layer gives and the gradient of a logit with respect to it, both (C, h, w).

    One tile (1, 3, H, W), one class, one layer: a whole pass forward and back.
    """
    kept = {}
    hook = None
    if layer not in ('bn7', 'features'):
        module = model.backbone.get_submodule(layer)

        def keep(_module, _inputs, output):
            kept['x'] = output
            output.retain_grad()

        hook = module.register_forward_hook(keep)
    features = model.backbone(image.clone().requires_grad_())[-1]
    if layer == 'bn7':
        kept['x'] = features
        features.retain_grad()
    if model.neck is not None:
        features = model.neck(features)
    if layer == 'features':
        kept['x'] = features
        features.retain_grad()
    scores = model.class_scores(features)
    scores[0, index].backward()
    if hook is not None:
        hook.remove()
    model.zero_grad()
    return kept['x'].detach()[0], kept['x'].grad[0]


def naive_grad_cam(model: nn.Module, image: Tensor, layer: str, index: int) -> Tensor:
    """Grad-CAM of one tile (1, 3, H, W), one class, one layer: (h, w)."""
    activations, gradients = naive_gradients(model, image, layer, index)
    result = torch.zeros(activations.shape[1:])
    for channel in range(len(activations)):
        result += gradients[channel].mean() * activations[channel]
    return result
