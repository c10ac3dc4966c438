"""The training step of stage 2: three networks and both losses against three plain steps of one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from arml.benchmark.harness import Bound, Harness, Report, Row, alternate, at_least, reporting
from arml.benchmark.memory import extra_memory
from arml.benchmark.networks import (
    Step,
    Variant,
    first_tiles,
    hold_state,
    initialised,
    random_masks,
    samples_of,
    settings_of,
)
from arml.benchmark.reference import cross_entropy_step
from arml.benchmark.stacked import passes as stacked_passes
from arml.errors import ConfigError
from arml.models.segmentors.template import build_network

#: Networks of the method.
PEERS = 3


def run(
    harness: Harness,
    config: str,
    cfg_options: dict[str, Any] | None = None,
    batch: int = 4,
    size: int = 224,
    variant: Variant = Variant(),  # noqa: B008 - frozen
    stacked: bool = False,
) -> Report:
    """Measure time and memory of the step.

    Args:
        harness: Rounds, device, threads, seed.
        config: Config file with an ``arml.MutualLearningSegmentor`` at its top level.
        cfg_options: Overrides of its leaves.
        batch: Tiles a step, >= 2 (batch norm).
        size: Side of the tiles in pixels, >= 32.
        variant: How both are run. If it is not the plain way, a row compares with the plain way.
        stacked: Also compare forward and backward of the three networks as one with stacked parameters
            with the networks in turns.

    Raises:
        ConfigError: If a number is too small or the config has no such model.
    """
    at_least(2, batch=batch)
    at_least(32, size=size)
    variant.check(harness.device)
    settings = segmentor_settings(config, cfg_options)
    options = {'config': config, 'cfg_options': cfg_options or {}, 'variant': str(variant)}
    with reporting('train_step', harness, **options, batch=batch, size=size) as report:
        tiles = (batch, size, harness.device)
        step = mutual_step(settings, variant, *tiles)
        single = plain_step(settings, variant, *tiles)
        works: dict[str, Callable[[], object]] = {'ours': step, 'plain': partial(_times, single)}
        if variant:
            works['without'] = mutual_step(settings, Variant(), *tiles)
        seconds = alternate(works, harness, 'train_step')
        count = len(step.model.networks)
        networks = 'three networks' if count == PEERS else 'one network run three times'
        report.rows.append(
            Row(
                f'stage-2 step, {networks}; reference: three plain steps of one',
                's', seconds['ours'], seconds['plain'], 'ours / reference', Bound('<=', 1.05),
            )
        )  # fmt: skip
        if variant:
            report.rows.append(
                Row(
                    f'the same, {variant}; reference: without', 's', seconds['ours'],
                    seconds['without'], 'reference / ours',
                )
            )  # fmt: skip
        parameters = sum(p.numel() for p in step.model.parameters()) / count / 1e6
        report.notes.append(
            f'{config}: {parameters:.1f} M parameters a network, batch {batch}, {size} px, {variant}'
        )
        if stacked:
            report.rows.append(_stacked(harness, step, config))
        del step, single, works
        report.rows.append(_memory(harness, settings, variant, batch, size))
    return report


def _stacked(harness: Harness, step: Step, config: str) -> Row:
    if len(step.model.networks) == 1:
        raise ConfigError(f'config {config}: --stacked, but model.num_networks is 1')
    target = torch.stack([sample.gt_sem_seg.data for sample in step.samples]).squeeze(1)
    together, in_turns = stacked_passes(step.model.networks, step.inputs, target)
    seconds = alternate({'ours': in_turns, 'stacked': together}, harness, 'stacked')
    return Row(
        'cross entropy of three networks, forward and backward; reference: stacked as one',
        's', seconds['ours'], seconds['stacked'], 'reference / ours',
    )  # fmt: skip


def segmentor_settings(config: str, cfg_options: dict[str, Any] | None) -> dict[str, Any]:
    """Settings of the model at the top level.

    Raises:
        ConfigError: If it is not made of a template of networks.
    """
    settings = settings_of(config, cfg_options, None)
    if not isinstance(settings['model'].get('network'), dict):
        raise ConfigError(
            f'config {config}: model.network is missing; expected a model of type '
            'arml.MutualLearningSegmentor, which is built from it'
        )
    return settings


def _times(step: Callable[[], Tensor]) -> None:
    for _ in range(PEERS):
        step()


def mutual_step(
    settings: dict[str, Any], variant: Variant, batch: int, size: int, device: torch.device
) -> Step:
    """The step of the config's model on random tiles and masks."""
    step = Step(settings, variant, device)
    _give_tiles(step, batch, size)
    return step


def _give_tiles(step: Step, batch: int, size: int) -> None:
    inputs = torch.randn(batch, 3, size, size, device=step.device)
    masks = random_masks(batch, step.model.out_channels, size, step.device)
    step.load(inputs, samples_of(masks, [()] * batch))


def plain_step(
    settings: dict[str, Any], variant: Variant, batch: int, size: int, device: torch.device
) -> Callable[[], Tensor]:
    """The plain cross entropy step of one network of the same template and optimiser."""
    network, wrapper = _single(settings, variant, device)
    return partial(
        cross_entropy_step, network, wrapper, *_tiles(network, variant, batch, size, device),
        partial(variant.context, device),
    )  # fmt: skip


def _single(settings: dict[str, Any], variant: Variant, device: torch.device) -> tuple[Any, Any]:
    network = variant.place(initialised(build_network(settings['model']['network'])), device)
    return network, variant.wrapper(network, settings['optim_wrapper'])


def _tiles(
    network: Any, variant: Variant, batch: int, size: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    inputs = variant.images(torch.randn(batch, 3, size, size, device=device))
    return inputs, random_masks(batch, network.out_channels, size, device)


def _memory(
    harness: Harness, settings: dict[str, Any], variant: Variant, batch: int, size: int
) -> Row:
    ours, reference = (
        extra_memory(prepare_memory, harness, which, settings, variant, batch, size)
        for which in ('three', 'one')
    )
    return Row(
        'stage-2 step, peak memory over parameters, gradients, optimiser; reference: one network',
        'MB', ours, reference, 'ours / reference', Bound('<=', 3.05),
    )  # fmt: skip


def prepare_memory(
    which: str,
    settings: dict[str, Any],
    variant: Variant,
    batch: int,
    size: int,
    device: torch.device,
) -> Callable[[], object]:
    """Build, take a first step, let gradients and the optimiser's state exist; return the step.

    Args:
        which: ``'three'``: the config's model; ``'one'``: the plain step of one network.
        settings: ``model`` and ``optim_wrapper``.
        variant: How it is run.
        batch: Tiles a step.
        size: Side of the tiles.
        device: Where.
    """
    first = first_tiles(variant, batch, size)
    if which == 'three':
        step = mutual_step(settings, variant, *first, device)
        step()
        _give_tiles(step, batch, size)
        hold_state(step.wrapper)
        return step
    network, wrapper = _single(settings, variant, device)
    context = partial(variant.context, device)
    cross_entropy_step(network, wrapper, *_tiles(network, variant, *first, device), context)
    inputs, target = _tiles(network, variant, batch, size, device)
    hold_state(wrapper)
    return partial(cross_entropy_step, network, wrapper, inputs, target, context)
