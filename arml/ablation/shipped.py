"""Which lines of ledgers are runs of configs as their files are now, with a seed given and nothing else."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from arml.ablation.cells import run_of_file
from arml.ablation.values import read_options
from arml.errors import ConfigError
from arml.pipeline.data import files_at_rest
from arml.progress import Progress
from arml.report.result import newest_by_run
from arml.report.sweep_cells import SEED

#: What a line says of its run from the first version on that names the config's file.
NEEDED = ('config_file', 'dataset', 'rows', 'seed')


def shipped_lines(
    lines: Iterable[Mapping[str, Any]], fixed: Sequence[str] = ()
) -> tuple[list[Mapping[str, Any]], dict[str, int]]:
    """The finished lines that are of a config as it is now.

    A line counts if its key is that of the config's run with the line's seed, so whatever sweep it comes from, and
    whatever else it was given that changes no result (places, tracking).

    Args:
        lines: Of all ledgers.
        fixed: ``KEY=VALUE`` for all configs, for example the place of the data.

    Returns:
        The lines, and how many finished ones were left out, by the reason.

    Raises:
        ConfigError: If a config cannot be read.
        ArmlError: If its data, which are part of the key, are not there.
    """
    finished = [line for line in newest_by_run(lines).values() if line['status'] == 'finished']
    left: Counter[str] = Counter()
    asked = []
    for line in finished:
        if any(line.get(name) is None for name in NEEDED):
            left['of an older version, which did not note the file of the config'] += 1
        elif not Path(line['config_file']).is_file():
            left[f'{line["config_file"]} is not there (counted from the current folder)'] += 1
        else:
            asked.append(line)
    others = read_options(fixed)
    runs = dict.fromkeys(((line['config_file'], line['seed']) for line in asked), '')
    with files_at_rest():
        progress = Progress('configs and seeds', len(runs))
        for file, seed in runs:
            try:
                runs[file, seed] = run_of_file(file, {**others, SEED: seed})
            except ConfigError as error:
                raise ConfigError(f'{file}: {error}') from error
            progress.add()
    found = []
    for line in asked:
        if line['run'] == runs[line['config_file'], line['seed']]:
            found.append(line)
        else:
            left['an ablation, or of another version of its config or data'] += 1
    return found, dict(left)
