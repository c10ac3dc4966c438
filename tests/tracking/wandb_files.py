"""Reads back what the W&B SDK wrote offline: a LevelDB log of ``wandb.proto`` records."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BLOCK, HEADER, CHUNK = 32 * 1024, 7, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@dataclass
class Written:
    """An offline run.

    ``history`` is a list of ``{name: value}``; ``artifacts`` are protobuf records; ``metrics`` maps a
    defined metric to its step metric.
    """

    id: str = ''
    name: str = ''
    group: str = ''
    project: str = ''
    sweep: str = ''
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, str] = field(default_factory=dict)
    artifacts: list[Any] = field(default_factory=list)
    used: list[Any] = field(default_factory=list)
    exit: int | None = None
    folder: Path | None = None

    def curve(self, name: str, step: str) -> list[tuple[float, float]]:
        """(step, value) of all points of a curve."""
        return [(line[step], line[name]) for line in self.history if name in line]

    def files(self) -> set[str]:
        """Media and tables that were written, by path below ``files``."""
        root = self.folder / 'files'
        return {str(file.relative_to(root)) for file in root.rglob('*') if file.is_file()}


def offline_runs(folder: Path) -> list[Written]:
    """All offline runs below a folder, oldest first."""
    return [read_run(file) for file in sorted(folder.rglob('offline-run-*/run-*.wandb'))]


def read_run(file: Path) -> Written:
    from wandb.proto import wandb_internal_pb2 as proto

    run = Written(folder=file.parent)
    for content in _records(file.read_bytes()):
        record = proto.Record()
        record.ParseFromString(content)
        kind = record.WhichOneof('record_type')
        if kind == 'run':
            run.id, run.name = record.run.run_id, record.run.display_name
            run.group, run.project = record.run.run_group, record.run.project
            run.sweep, run.tags = record.run.sweep_id, list(record.run.tags)
            _update(run.config, record.run.config.update)
        elif kind == 'config':
            _update(run.config, record.config.update)
        elif kind == 'summary':
            _update(run.summary, record.summary.update)
        elif kind == 'history':
            line: dict[str, Any] = {}
            _update(line, record.history.item)
            run.history.append(line)
        elif kind == 'metric':
            name = record.metric.name or record.metric.glob_name
            run.metrics[name] = record.metric.step_metric
        elif kind == 'artifact':
            run.artifacts.append(record.artifact)
        elif kind == 'use_artifact':
            run.used.append(record.use_artifact)
        elif kind == 'exit':
            run.exit = record.exit.exit_code
    return run


def _update(into: dict[str, Any], items: Any) -> None:
    for item in items:
        *outer, last = [item.key] if item.key else item.nested_key
        place = into
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = json.loads(item.value_json)


def _records(content: bytes) -> list[bytes]:
    found, parts, at = [], [], HEADER
    while at + CHUNK <= len(content):
        left = BLOCK - at % BLOCK
        if left < CHUNK:
            at += left
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], 'little'), content[at + 6]
        part = content[at + CHUNK : at + CHUNK + length]
        if kind not in (FULL, FIRST, MIDDLE, LAST) or len(part) < length:
            break  # a killed process
        if kind in (FULL, FIRST):
            parts = []
        parts.append(part)
        if kind in (FULL, LAST):
            found.append(b''.join(parts))
        at += CHUNK + length
    return found
