"""The training step of stage 1: the classifier with ARS against the same without."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from arml.benchmark.harness import Harness, Report, Row, alternate, at_least, reporting
from arml.benchmark.memory import extra_memory
from arml.benchmark.networks import Step, Variant, first_tiles, hold_state, samples_of, settings_of
from arml.errors import ConfigError


class Products(nn.Module):
    """Only the 1x1 products of a criss-cross attention, forward and backward: its limit.

    Args:
        neck: Whose query, key and value it runs.
    """

    def __init__(self, neck: nn.Module) -> None:
        super().__init__()
        self.query, self.key, self.value = neck.query, neck.key, neck.value

    def forward(self, features: Tensor) -> Tensor:
        """Features of the same shape, on which all three products depend."""
        weight = 1e-3 * (self.query(features).mean() + self.key(features).mean())
        return features + weight * self.value(features)


def run(
    harness: Harness,
    config: str,
    cfg_options: dict[str, Any] | None = None,
    section: str = 'classifier',
    batch: int = 4,
    size: int = 224,
    variant: Variant = Variant(),  # noqa: B008 - frozen
) -> Report:
    """Measure time and memory of the step.

    Args:
        harness: Rounds, device, threads, seed.
        config: Config file with an ``arml.MultiLabelClassifier`` that has an ``arml.ARSNeck``.
        cfg_options: Overrides of its leaves.
        section: Where in the config it is.
        batch: Tiles a step, >= 2 (batch norm).
        size: Side of the tiles in pixels, >= 32.
        variant: How all are run.

    Raises:
        ConfigError: If a number is too small or the config has no such model.
    """
    at_least(2, batch=batch)
    at_least(32, size=size)
    variant.check(harness.device)
    settings = settings_of(config, cfg_options, section)
    kinds = _kinds(settings, f'config {config}: {section}.model')
    options = {'config': config, 'cfg_options': cfg_options or {}, 'variant': str(variant)}
    with reporting(
        'stage1_step', harness, **options, section=section, batch=batch, size=size
    ) as report:
        works = {
            kind: classifier_step(kind, settings, variant, batch, size, harness.device)
            for kind in kinds
        }
        seconds = alternate(works, harness, 'stage1_step')
        parameters = {
            kind: sum(p.numel() for p in step.model.parameters()) / 1e6
            for kind, step in works.items()
        }
        del works
        report.rows += [
            Row(text, 's', seconds['with'], seconds[kind], ratio)
            for kind, text, ratio in (
                ('without', 'stage-1 step with ARS; reference: without', 'ours / reference'),
                (
                    'products',
                    'stage-1 step with ARS; reference: only the 1x1 products of it',
                    'ours / reference',
                ),
                (
                    'unfrozen',
                    'stage-1 step with ARS; reference: gradients in frozen blocks too',
                    'reference / ours',
                ),
            )
            if kind in kinds
        ]
        ours, reference = (
            extra_memory(prepare_memory, harness, kind, settings, variant, batch, size)
            for kind in ('with', 'without')
        )
        report.rows.append(
            Row(
                'stage-1 step with ARS, peak memory over parameters, gradients, optimiser; '
                'reference: without', 'MB', ours, reference, 'ours / reference',
            )
        )  # fmt: skip
        report.notes.append(
            f'{config}: {parameters["without"]:.1f} M parameters, with ARS '
            f'{parameters["with"]:.1f} M; batch {batch}, {size} px, {variant}'
        )
    return report


def _kinds(settings: dict[str, Any], where: str) -> tuple[str, ...]:
    """The steps that can be compared.

    Raises:
        ConfigError: If the model has no ARS to be measured.
    """
    model = settings['model']
    neck = model.get('neck')
    if not isinstance(neck, dict) or not neck.get('enabled', True):
        raise ConfigError(f'{where}.neck: found {neck!r}, expected an arml.ARSNeck that is enabled')
    attends = neck.get('gamma_trainable', True) or neck.get('gamma_init', 0) != 0
    frozen = model.get('backbone', {}).get('frozen_stages', 0)
    return (
        'with',
        'without',
        *(('products',) if attends else ()),
        *(('unfrozen',) if frozen else ()),
    )


def classifier_step(
    kind: str,
    settings: dict[str, Any],
    variant: Variant,
    batch: int,
    size: int,
    device: torch.device,
) -> Step:
    """The step of a classifier on random tiles and labels.

    Args:
        kind: ``with`` ARS, ``without`` it, with the 1x1 ``products`` of it alone, or with it and
            the frozen blocks of the backbone trained, too (``unfrozen``).
        settings: ``model`` and ``optim_wrapper``.
        variant: How it is run.
        batch: Tiles a step.
        size: Side of the tiles.
        device: Where.
    """
    settings = copy.deepcopy(settings)
    if kind == 'without':
        settings['model']['neck']['enabled'] = False
    if kind == 'unfrozen':
        settings['model']['backbone']['frozen_stages'] = 0
    step = _ProductsStep(settings, variant, device) if kind == 'products' else Step(
        settings, variant, device
    )  # fmt: skip
    _give_tiles(step, batch, size)
    return step


class _ProductsStep(Step):
    """The step of a classifier whose neck is replaced by its 1x1 products."""

    def build(self, model: dict[str, Any]) -> nn.Module:
        """The classifier with the other neck."""
        built = super().build(model)
        built.neck = Products(built.neck)
        return built


def _give_tiles(step: Step, batch: int, size: int) -> None:
    inputs = torch.randn(batch, 3, size, size, device=step.device)
    classes = step.model.num_classes
    labels = torch.randint(2, (batch, classes)).tolist()
    step.load(inputs, samples_of(None, labels))


def prepare_memory(
    kind: str,
    settings: dict[str, Any],
    variant: Variant,
    batch: int,
    size: int,
    device: torch.device,
) -> Callable[[], object]:
    """Build, take a first step, let gradients and the optimiser's state exist; return the step."""
    step = classifier_step(kind, settings, variant, *first_tiles(variant, batch, size), device)
    step()
    _give_tiles(step, batch, size)
    hold_state(step.wrapper)
    return step
