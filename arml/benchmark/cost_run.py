"""A program that runs all stages of a config briefly and says what they cost.

``cost_run.py CONFIG KEY=VALUE ...`` prints a line of JSON: see :func:`cost_of`. The stages are those of
``tools/train.py``; only the trainings are cut to a few epochs, so a method needs nothing of its own to be measured.
"""

from __future__ import annotations

import copy
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Epochs that a training is cut to, and its iterations that are not counted: they allocate memory and fill caches.
EPOCHS, WARM_UP = 2, 3
#: Passes of a batch through a trained model; the first one is not counted.
PASSES = 6


def cost_of(path: str, options: dict[str, Any]) -> dict[str, Any]:
    """Run a config briefly.

    Args:
        path: The config.
        options: Overrides.

    Returns:
        ``title`` and ``results``, for each tested row: ``training``, the seconds of the stages that it needs at the
        config's length, ``memory`` (MB) of the largest of them, ``parameters``, ``flops`` and ``seconds`` a tile.
    """
    from arml.config import load_config
    from arml.config.sections import section_of
    from arml.pipeline import run_pipeline
    from arml.pipeline.run import build_stages
    from arml.pipeline.stages.test import TestStage

    full = load_config(path, options, for_run=True)
    stages = {stage.name: stage for stage in build_stages(full)}
    trainings = trainings_of(stages)
    lengths = {n: section_of(full, stages[n].section).train_cfg['max_epochs'] for n in trainings}
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / 'work'
        given = {**options, **shortened(full, stages), 'store': f'{folder}/store'}
        config = load_config(path, given, for_run=True)
        result = run_pipeline(config, work)
        seconds = {
            name: notes['seconds'] for name, notes in result['stages'].items() if 'seconds' in notes
        }
        for name in trainings:
            steps = watch.steps[name] // EPOCHS * lengths[name]
            seconds[name] = statistics.median(watch.seconds[name][WARM_UP:]) * steps
        results = []
        for row in result['rows']:
            stage = stages[row['stage']]
            if isinstance(stage, TestStage):
                needed = needs_of(stages, stage.name)
                results.append({
                    'row': row['name'], 'stage': stage.name,
                    'training': {name: seconds[name] for name in needed},
                    'memory': max(watch.memory[name] for name in needed if name in watch.memory),
                    **_inference(config, stage, work),
                })  # fmt: skip
    return {'title': full.get('title'), 'results': results}


def trainings_of(stages: Mapping[str, Any]) -> list[str]:
    """Names of the stages that train."""
    from arml.pipeline.stages.train import TrainStage

    return [name for name, stage in stages.items() if isinstance(stage, TrainStage)]


def shortened(full: Any, stages: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides that cut all trainings to a few epochs in which all that joins them later takes part.

    Args:
        full: The resolved config.
        stages: Its stages by name.
    """
    from arml.config.lending import take_back
    from arml.config.sections import section_of
    from arml.config.tree import nodes

    own = copy.deepcopy(full)
    take_back(own)  # a borrowed model follows its section, and takes no override
    short: dict[str, Any] = {}
    for name in trainings_of(stages):
        prefix = stages[name].prefix
        short |= {f'{prefix}train_cfg.{key}': EPOCHS for key in ('max_epochs', 'val_interval')}
        parts = nodes(section_of(own, stages[name].section)['model'], f'{prefix}model')
        short |= {path: 0 for path, _ in parts if path.endswith('.start_epoch')}
    return short


def parameters_of(model: Any) -> int:
    """Numbers in all parameters of a model, once each: those of a network that it only uses, frozen, too."""
    from torch.nn import Parameter

    return sum(tensor.numel() for tensor in held_by(model) if isinstance(tensor, Parameter))


def bytes_of(model: Any) -> int:
    """Bytes of all weights and buffers of a model, once each: those of a frozen network, too."""
    return sum(tensor.nbytes for tensor in held_by(model))


def held_by(model: Any) -> list[Any]:
    """The parameters and buffers in a model's state, once each."""
    found = model.state_dict(keep_vars=True).values()
    return list({id(tensor): tensor for tensor in found}.values())


def needs_of(stages: Mapping[str, Any], name: str) -> list[str]:
    """The stages whose products a stage is made from, directly or by others, in order."""
    found = set(stages[name].needs)
    while more := {need for each in found for need in stages[each].needs} - found:
        found |= more
    return [each for each in stages if each in found]


class Watch:
    """Times the steps of every training of the process and takes the peak of its memory.

    That is what the model and all that its training adds need, on a CPU as on a GPU; not what the process holds anyway.
    """

    def __init__(self) -> None:
        from arml.engine import StageRunner

        self.seconds: dict[str, list[float]] = {}
        self.steps: dict[str, int] = {}
        self.memory: dict[str, float] = {}
        train, watch = StageRunner.train, self

        def watched(runner):
            runner.register_hook(_hook(watch, Path(runner.work_dir).parent.name))
            return train(runner)

        StageRunner.train = watched


def _hook(watch: Watch, stage: str):
    import torch
    from mmengine.hooks import Hook

    from arml.benchmark.harness import MB, synchronise
    from arml.benchmark.memory import forget_peak, give_back_free_memory, resident

    on_gpu = torch.cuda.is_available()
    device = torch.device('cuda' if on_gpu else 'cpu')

    class StepHook(Hook):
        """Seconds between the starts of steps, loading included."""

        priority = 'VERY_LOW'

        def before_train(self, runner) -> None:
            watch.seconds[stage], watch.steps[stage] = [], 0
            give_back_free_memory()
            forget_peak()
            if on_gpu:
                torch.cuda.reset_peak_memory_stats()
            # The model is there already, and is counted.
            held = torch.cuda.memory_allocated() if on_gpu else resident('VmRSS')
            self.base = held - bytes_of(runner.model)

        def before_train_epoch(self, runner) -> None:
            self.last = None

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
            synchronise(device)
            now = time.perf_counter()
            if self.last is not None:
                watch.seconds[stage].append(now - self.last)
            self.last = now
            watch.steps[stage] += 1

        def after_train(self, runner) -> None:
            peak = torch.cuda.max_memory_allocated() if on_gpu else resident('VmHWM')
            watch.memory[stage] = (peak - self.base) / MB

    return StepHook()


def _inference(config: Any, stage: Any, work: Path) -> dict[str, float]:
    """Parameters, operations and time of a tested model, from preprocessed tiles to masks."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from arml.benchmark.harness import synchronise
    from arml.config.sections import section_of
    from arml.device import device_of
    from arml.engine import checkpoint as checkpoints
    from arml.pipeline.testing import without_pretrained

    part = section_of(config, stage.section)
    path = work / f'{stage.inputs["checkpoint"]}.pth'
    device = device_of(None)
    model = checkpoints.trained_model(without_pretrained(part.model), checkpoints.load(path), path)
    model = model.to(device)
    batch = part.test_dataloader['batch_size']
    size = part.get('input_size') or config.input_size
    tiles = torch.randn(batch, 3, *size, device=device)

    def predict(inputs: torch.Tensor) -> Any:
        return model(inputs, None, mode='predict')

    with torch.no_grad():
        seconds = []
        for _ in range(PASSES):
            synchronise(device)
            begun = time.perf_counter()
            predict(tiles)
            synchronise(device)
            seconds.append((time.perf_counter() - begun) / batch)
        with FlopCounterMode(display=False) as counter:
            predict(tiles[:1])
    return {
        'parameters': parameters_of(model),
        'flops': counter.get_total_flops(),
        'seconds': statistics.median(seconds[1:]),
    }


if __name__ == '__main__':
    warnings.simplefilter('ignore')
    from arml.startup import start

    start()
    from arml.ablation import read_options

    print(json.dumps(cost_of(sys.argv[1], read_options(sys.argv[2:]))), flush=True)
