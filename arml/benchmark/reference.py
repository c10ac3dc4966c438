"""The straightforward implementations that speed and memory are measured against.

Each is what one writes from the equations and from what the released code does (its methods, not
its text), without tricks and without handicaps: nothing is computed twice that a careful reader
would compute once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from arml.datasets.transforms import decode_tile, read_raw_mask

IGNORE = 255


def explicit_structure_relation(
    student: Tensor, teacher: Tensor, alpha: float, beta: float
) -> Tensor:
    r"""Structure relation from all difference vectors, as in RKD (ARML eqs. 5-8).

    .. math:: \alpha \frac{1}{B^2} \sum_{ij} \ell\!\left(\frac{|s_i - s_j|}{\mu_s},
              \frac{|t_i - t_j|}{\mu_t}\right)
              + \beta \frac{1}{B^3} \sum_{ijk} \ell(\cos\angle s_i s_j s_k, \cos\angle t_i t_j t_k)

    with smooth L1 of beta 1. The B x B x D differences of a network are made once, for distances
    and angles both.

    Args:
        student: Samples of the trained network, (B, D), float32 as released, or float64.
        teacher: Samples of its peer, same shape; no gradient flows.
        alpha: Weight of the distances.
        beta: Weight of the angles.

    Returns:
        Scalar, of the type of the samples.
    """
    distance, cosines = _geometry(student)
    with torch.no_grad():
        teacher_distance, teacher_cosines = _geometry(teacher)
    return alpha * F.smooth_l1_loss(distance, teacher_distance) + beta * F.smooth_l1_loss(
        cosines, teacher_cosines
    )


def _geometry(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Distances over their mean (B, B), and cosines (B, B, B) at the sample of the first axis."""
    difference = samples.unsqueeze(0) - samples.unsqueeze(1)
    length = torch.linalg.vector_norm(difference, dim=2)
    positive = length[length > 0]
    mean = positive.mean() if positive.numel() else length.new_ones(())
    directions = difference / length.clamp_min(1e-12).unsqueeze(2)
    return length / mean, torch.bmm(directions, directions.transpose(1, 2))


def explicit_mutual_relation(
    samples: Sequence[Tensor], alpha: float, beta: float
) -> tuple[list[Tensor], list[Tensor]]:
    """Every network in turn as the student of each of its peers, with the gradients.

    Args:
        samples: Of each network, all (B, D), or all (T, B, D): then a group after the other.
        alpha: Weight of the distances.
        beta: Weight of the angles.

    Returns:
        A value and a gradient for each network.
    """
    values, gradients = [], []
    for index, given in enumerate(samples):
        student = given.detach().requires_grad_()
        teachers = [x.detach() for other, x in enumerate(samples) if other != index]
        groups = student.unbind(0) if student.dim() == 3 else [student]
        total = student.new_zeros(())
        for number, group in enumerate(groups):
            for teacher in teachers:
                peer = teacher[number] if student.dim() == 3 else teacher
                total = total + explicit_structure_relation(group, peer, alpha, beta)
        value = total / (len(teachers) * len(groups))
        gradients.append(torch.autograd.grad(value, student)[0])
        values.append(value.detach())
    return values, gradients


def unfreeze(classifier: nn.Module) -> nn.Module:
    """Let every parameter have a gradient, as in a network that was only put in evaluation mode.

    In place. The released loop freezes nothing while it makes maps.
    """
    classifier.requires_grad_(True)
    if hasattr(classifier.backbone, 'frozen_stages'):
        classifier.backbone.frozen_stages = 0
    return classifier.eval()


def grad_cam(classifier: nn.Module, tile: Tensor, layer: str) -> Tensor:
    r"""Grad-CAM of one tile at one layer: a forward and a full backward pass for each class.

    .. math:: M_c = \sum_k w_k A_k, \quad w_k = \frac{1}{hw} \sum_u \frac{\partial z_c}{\partial A_{ku}}

    of the logit z, without ReLU, as released. A is the output of the layer.

    Args:
        classifier: In evaluation mode; with ``backbone``, ``extract_feat`` and ``class_scores``.
        tile: Preprocessed, float, (1, 3, H, W).
        layer: A part of the backbone by name; ``'bn7'`` is what ResNet38d gives, after its ReLU;
            ``'features'`` is what the head sees.

    Returns:
        Maps of all classes, float, (K, h, w).
    """
    maps: list[Tensor] = []
    for index in range(classifier.num_classes):
        classifier.zero_grad(set_to_none=True)
        scores, activation = _forward(classifier, tile, layer)
        activation.retain_grad()
        scores[0, index].backward()
        weights = activation.grad.mean(dim=(2, 3), keepdim=True)
        maps.append((weights * activation).sum(dim=1)[0].detach())
    return torch.stack(maps)


def _forward(classifier: nn.Module, tile: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Scores (1, K) and the activation of a layer (1, C, h, w)."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple, output: Tensor | Sequence[Tensor]) -> None:
        # A backbone gives its last map last; a block that gives two things gives its output first.
        several = isinstance(output, tuple | list)
        kept.append(output[-1 if layer == 'bn7' else 0] if several else output)

    backbone = classifier.backbone
    handle = None
    if layer != 'features':
        module = backbone if layer == 'bn7' else backbone.get_submodule(layer)
        handle = module.register_forward_hook(keep)
    try:
        features = classifier.extract_feat(tile)
    finally:
        if handle is not None:
            handle.remove()
    return classifier.class_scores(features), kept[0] if kept else features


def cross_entropy_step(
    network: nn.Module, wrapper, inputs: Tensor, target: Tensor, context
) -> Tensor:
    """One plain training step of one network: forward, resize, mean cross entropy, update.

    Args:
        network: An mmseg ``EncoderDecoder`` in training mode.
        wrapper: mmengine's ``OptimWrapper`` of its parameters.
        inputs: Preprocessed tiles, float, (N, 3, H, W).
        target: Masks, int64 in [0, K) or 255, (N, H, W).
        context: Called without arguments, a context manager for the forward pass (autocast).

    Returns:
        The loss.
    """
    with context():
        logits = network.decode_head(network.extract_feat(inputs))
        logits = F.interpolate(
            logits, target.shape[-2:], mode='bilinear', align_corners=network.align_corners
        )
        loss = F.cross_entropy(logits, target, ignore_index=IGNORE)
    wrapper.update_params(loss)
    return loss.detach()


def decode(tiles: Iterable[tuple[Path, Path | None]]) -> int:
    """Only decode PNG files: what no loader can do without.

    Args:
        tiles: Files of tile and mask, None where there is no mask.

    Returns:
        Number of bytes decoded.
    """
    total = 0
    for image, mask in tiles:
        total += decode_tile(image).nbytes
        if mask is not None:
            total += read_raw_mask(mask).nbytes
    return total
