"""The cells of a sweep handed out by W&B: the sweep registered there, its own agents run here."""

import contextlib
import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from arml.ablation.cells import Cell
from arml.ablation.ledger import Ledger
from arml.ablation.outcome import LAST_LINES, finished_row, result_in, unfinished_row
from arml.ablation.process import BOOTSTRAP, GRACE, last_lines, start_fresh, threads_of
from arml.ablation.sweep_file import Sweep
from arml.atomic import unwritable
from arml.errors import ArmlError
from arml.pipeline import messages
from arml.tracking.note import FILE as NOTE

#: What the command of a sweep file ends with: W&B puts ``KEY=VALUE`` of each parameter here.
ARGUMENTS = '${args_no_hyphens}'
#: Variables of one run, which a sweep's agents must not inherit: each of its runs has its own.
OF_ONE_RUN = (
    'WANDB_RUN_ID', 'WANDB_NAME', 'WANDB_RESUME', 'WANDB_SWEEP_ID', 'WANDB_SWEEP_PARAM_PATH',
)  # fmt: skip
#: Seconds between two looks at agents and work dirs.
PAUSE = 1.0


def run_agents(
    sweep: Sweep,
    cells: Sequence[Cell],
    ledger: Ledger,
    folder: Path,
    workers: int = 1,
    fixed: Sequence[str] = (),
    gpus: Sequence[str] = (),
    sweep_id: str | None = None,
    project: str | None = None,
    entity: str | None = None,
    say: Callable[[str], None] = messages.say,
) -> list[Cell]:
    """Have W&B hand out the cells, and collect their results.

    Each agent is ``wandb agent`` itself and runs ``tools/train.py`` as the sweep file says, which under an
    agent reports to W&B unless ``tracking`` is set. The work dirs are the default ones, whose names are the
    cells', so a cell that is handed out again goes on from its checkpoint, and a finished one is found.
    More agents may be started elsewhere by hand. Ctrl-C ends the agents and their trainings; ``sweep_id``
    joins the sweep again.

    Args:
        sweep: The sweep file.
        cells: Those of a grid; none for a search, whose cells are W&B's choice.
        ledger: Where results go.
        folder: Logs of the agents, and W&B's own files unless ``WANDB_DIR`` says where.
        workers: Agents; the machine's threads are shared among them unless ``OMP_NUM_THREADS`` is set.
        fixed: Further ``KEY=VALUE`` for all cells.
        gpus: One a worker, as ``CUDA_VISIBLE_DEVICES`` names them.
        sweep_id: ``ENTITY/PROJECT/ID`` of a registered sweep to join; None registers it.
        project: W&B project; ``WANDB_PROJECT`` or the sweep file's without one.
        entity: W&B entity; the account's own without one.
        say: Takes each line of progress.

    Returns:
        The cells of the grid that have no result.

    Raises:
        ArmlError: If wandb is missing, the sweep cannot be registered, or nothing can be written.
    """
    path = sweep_id or register(sweep, fixed, project, entity)
    say(f'{sweep.name}: W&B sweep {path}; further machines join with: wandb agent {path}')
    collector = _Collector(sweep, cells, ledger, fixed, path.rpartition('/')[2], say)
    agents: list[subprocess.Popen] = []
    logs = [folder / f'agent_{number}.log' for number in range(workers)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, log in enumerate(logs):
            gpu = gpus[number % len(gpus)] if gpus else None
            environment = environment_of(sweep, folder, workers, gpu)
            agents.append(start_fresh(['-m', 'wandb', 'agent', path], log, environment))
        while any(agent.poll() is None for agent in agents):
            collector.collect()
            time.sleep(PAUSE)
    except OSError as error:
        raise unwritable(folder / 'agent_0.log', error) from error
    except (KeyboardInterrupt, SystemExit):
        say(f'{sweep.name}: stopped. Add --sweep-id {path} to the same command to continue it.')
        raise
    finally:
        _stop(agents)
        collector.collect()
    return collector.close(logs)


def register(
    sweep: Sweep,
    fixed: Sequence[str] = (),
    project: str | None = None,
    entity: str | None = None,
) -> str:
    """Register a sweep with W&B.

    Returns:
        ``ENTITY/PROJECT/ID``, as ``wandb agent`` takes it.

    Raises:
        ArmlError: If it cannot: no package, no login, no server, or W&B refuses the file.
    """
    try:
        import wandb

        found = wandb.sweep(registered(sweep, fixed), entity=entity, project=project)
        api = wandb.Api()
        place = (
            entity or api.settings['entity'] or api.default_entity,
            project or api.settings['project'],
        )
    except Exception as error:
        raise ArmlError(
            f'sweep {sweep.name}: W&B does not take it: {type(error).__name__}: {error}. A W&B sweep needs '
            'a server (WANDB_BASE_URL) and an account (wandb login), also with WANDB_MODE=offline, which '
            'is for runs alone. --engine optuna needs neither.'
        ) from error
    return '/'.join([*(part for part in place if part), found])


def registered(sweep: Sweep, fixed: Sequence[str] = ()) -> dict[str, Any]:
    """What W&B is given: the sweep file, its two paths as they were found, and what all cells share.

    Args:
        sweep: The sweep file.
        fixed: Further ``KEY=VALUE``.
    """
    content = copy.deepcopy(dict(sweep.content))
    content['name'] = sweep.name
    content['program'] = str(sweep.program.absolute())
    command = [str(word) for word in content['command']]
    place = command.index('${program}')
    command[place + 1] = str(sweep.config.absolute())
    command[place:place] = ['-I', BOOTSTRAP, '0']  # a training dies with its agent
    end = command.index(ARGUMENTS) + 1
    content['command'] = [*command[:end], *fixed, *command[end:]]
    return content


def environment_of(
    sweep: Sweep, folder: Path, workers: int, gpu: str | None = None
) -> dict[str, str]:
    """The environment of an agent, which its trainings inherit."""
    kept = {name: value for name, value in os.environ.items() if name not in OF_ONE_RUN}
    found = {
        'OMP_NUM_THREADS': str(threads_of(workers)),
        'WANDB_DIR': str(folder.absolute()),
        **kept,
        'WANDB_RUN_GROUP': sweep.name,
        # The command of a sweep file says python; it means the one that runs this.
        'PATH': os.pathsep.join([str(Path(sys.executable).parent), kept.get('PATH', os.defpath)]),
    }
    if sweep.tags:
        found['WANDB_TAGS'] = ','.join(sweep.tags)
    if gpu is not None:
        found['CUDA_VISIBLE_DEVICES'] = gpu
    return found


class _Collector:
    """Takes results from work dirs into the ledger. Arguments as of :func:`run_agents`."""

    def __init__(
        self,
        sweep: Sweep,
        cells: Sequence[Cell],
        ledger: Ledger,
        fixed: Sequence[str],
        sweep_id: str,
        say: Callable[[str], None],
    ) -> None:
        self.sweep, self.ledger, self.fixed, self.say = sweep, ledger, fixed, say
        self.cells, self.sweep_id = list(cells), sweep_id
        self.began = time.time()
        self._known = set(ledger.finished())
        self._total = len(self.cells) or None

    def collect(self) -> None:
        """Add a line for each cell that has finished since the last look."""
        for cell, work in self._candidates():
            if cell.run in self._known:
                continue
            row = finished_row(self.sweep, cell, self.fixed, work, attempt=1)
            if row is not None:
                self.ledger.add_finished(row)
                self._known.add(cell.run)
                self.say(f'{cell.run} finished: {cell.title}')

    def close(self, logs: Sequence[Path]) -> list[Cell]:
        """The cells without a result; those that were started leave a line that says so."""
        missing = [cell for cell in self.cells if cell.run not in self._known]
        lines = [line for log in logs for line in last_lines(log, LAST_LINES)]
        for cell in missing:
            started = self._folder(cell.run) / 'environment.json'
            if started.is_file() and started.stat().st_mtime >= self.began:
                row = unfinished_row(
                    self.sweep, cell, self.fixed, 1, None, exit=None,
                    log=[f'without a result; the agents said last ({logs[0].parent}/agent_*.log):', *lines],
                )  # fmt: skip
                self.ledger.add(row)
        return missing

    def _candidates(self) -> list[tuple[Cell, Path]]:
        if self.cells:
            return [(cell, self._folder(cell.run)) for cell in self.cells]
        return [
            (cell, work)
            for work in Path('work_dirs').glob(f'{self.sweep.config.stem}-*')
            if _sweep_of(work) == self.sweep_id and (cell := self._cell_in(work)) is not None
        ]

    def _folder(self, run: str) -> Path:
        """The default work dir of ``tools/train.py``."""
        return Path('work_dirs') / f'{self.sweep.config.stem}-{run}'

    def _cell_in(self, work: Path) -> Cell | None:
        """The cell of a search that a work dir is of, as W&B chose it."""
        result = result_in(work)
        chosen: Mapping[str, Any] = result.get('overrides') or {}
        if 'run' not in result:
            return None
        return Cell(
            {k: chosen[k] for k in self.sweep.content['parameters'] if k in chosen}, result['run']
        )


def _stop(agents: Sequence[subprocess.Popen]) -> None:
    """End agents with their trainings: W&B's agent passes the second Ctrl-C on to what it runs."""
    for wish in (signal.SIGINT, signal.SIGINT, signal.SIGKILL):
        running = [agent for agent in agents if agent.poll() is None]
        for agent in running:
            with contextlib.suppress(ProcessLookupError):
                agent.send_signal(wish)
        end = time.monotonic() + (GRACE / 2 if wish == signal.SIGINT else GRACE)
        while any(agent.poll() is None for agent in running) and time.monotonic() < end:
            time.sleep(PAUSE / 10)
    for agent in agents:
        agent.wait()


def _sweep_of(work: Path) -> str | None:
    """The W&B sweep that a work dir's training was started by."""
    try:
        return json.loads((work / NOTE).read_text(encoding='utf-8'))['W&B']['sweep']
    except (OSError, ValueError, KeyError, TypeError):
        return None
