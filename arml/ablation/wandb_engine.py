"""The cells of a sweep handed out by W&B: the sweep registered there, its own agents run here."""

import contextlib
import copy
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from arml.ablation.agent_runs import AGENTS, Collector
from arml.ablation.cells import Cell
from arml.ablation.ledger import Ledger
from arml.ablation.live import View
from arml.ablation.outcome import LAST_LINES
from arml.ablation.process import BOOTSTRAP, GRACE, last_lines, start_fresh, tags_of, threads_of
from arml.ablation.run import last_wish
from arml.ablation.sweep_file import Sweep
from arml.atomic import unwritable
from arml.errors import ArmlError
from arml.signals import sigterm_is_an_exit
from arml.tracking.wandb_tracker import nobody_to_ask

#: What the command of a sweep file ends with: W&B puts ``KEY=VALUE`` of each parameter here.
ARGUMENTS = '${args_no_hyphens}'
#: Program that runs a training and notes how it ended.
SUPERVISOR = str(Path(__file__).with_name('agent_cell.py'))
#: Variables of one run, which a sweep's agents must not inherit: each of its runs has its own.
OF_ONE_RUN = (
    'WANDB_RUN_ID', 'WANDB_NAME', 'WANDB_RESUME', 'WANDB_SWEEP_ID', 'WANDB_SWEEP_PARAM_PATH',
)  # fmt: skip
#: Seconds between two looks at agents and work dirs.
PAUSE = 1.0


@sigterm_is_an_exit()
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
    say: Callable[[str], None] | None = None,
) -> list[Cell]:
    """Have W&B hand out the cells, and collect their results.

    Each agent is ``wandb agent`` itself and runs ``tools/train.py`` as the sweep file says, which under an
    agent reports to W&B unless ``tracking`` is set. The work dirs are the default ones, whose names are the
    cells', so a cell that is handed out again goes on from its checkpoint, and a finished one is found.
    More agents may be started elsewhere by hand; what they run is collected here if they share the folder.
    Ctrl-C, SIGTERM and :func:`arml.ablation.run.request_stop` end the agents that this call started, with their
    trainings, which leave no line; ``sweep_id`` joins the sweep again.

    Args:
        sweep: The sweep file.
        cells: Those of a grid; none for a search, whose cells are W&B's choice.
        ledger: Where results go.
        folder: The sweep's: logs and notes of the agents, and W&B's own files unless ``WANDB_DIR`` says where.
        workers: Agents; the machine's threads are shared among them unless ``OMP_NUM_THREADS`` is set.
        fixed: Further ``KEY=VALUE`` for all cells.
        gpus: One a worker, as ``CUDA_VISIBLE_DEVICES`` names them.
        sweep_id: ``ENTITY/PROJECT/ID`` of a registered sweep to join; None registers it.
        project: W&B project; ``WANDB_PROJECT`` or the sweep file's without one.
        entity: W&B entity; the account's own without one.
        say: Takes each line of progress; None: standard error and, at a terminal, a line below that is kept.

    Returns:
        The cells of a grid that have no result; of a search, those that failed.

    Raises:
        ArmlError: If wandb is missing, the sweep cannot be registered, no agent could work, or nothing can be
            written.
    """
    asked = last_wish(folder)
    path = sweep_id or register(sweep, folder, fixed, project, entity)
    again = f'Add --sweep-id {path} to the same command to continue it.'
    view = View(sweep.name, say)
    view.say(f'{sweep.name}: W&B sweep {path}; further machines join with: wandb agent {path}')
    collector = Collector(sweep, cells, ledger, folder, fixed, path.rpartition('/')[2], view.say)
    agents: list[subprocess.Popen] = []
    logs = [folder / f'agent_{number}.log' for number in range(workers)]
    stopped = True
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, log in enumerate(logs):
            gpu = gpus[number % len(gpus)] if gpus else None
            environment = environment_of(sweep, folder, workers, gpu)
            agents.append(start_fresh(['-m', 'wandb', 'agent', path], log, environment))
        while any(agent.poll() is None for agent in agents):
            collector.collect()
            if view.live:
                view.update(collector.standing())
            if last_wish(folder) != asked:
                view.say(f'{sweep.name}: asked to stop. {again}')
                break
            time.sleep(PAUSE)
        else:
            stopped = False
    except OSError as error:
        raise unwritable(folder / 'agent_0.log', error) from error
    except (KeyboardInterrupt, SystemExit):
        view.say(f'{sweep.name}: stopped. {again}')
        raise
    finally:
        _stop(agents)
        view.close()
        collector.bury(stopped)
    if not collector.has_runs and any(agent.returncode for agent in agents) and not stopped:
        said = '\n'.join(line for log in logs for line in last_lines(log, LAST_LINES))
        raise ArmlError(
            f'sweep {sweep.name}: the agents of W&B ran nothing. They said last:\n{said}'
        )
    return collector.missing()


def register(
    sweep: Sweep,
    folder: Path,
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

        with nobody_to_ask():
            found = wandb.sweep(registered(sweep, folder, fixed), entity=entity, project=project)
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


def registered(sweep: Sweep, folder: Path, fixed: Sequence[str] = ()) -> dict[str, Any]:
    """What W&B is given: the sweep file, its two paths as they were found, what all cells share, who notes them.

    Args:
        sweep: The sweep file.
        folder: The sweep's.
        fixed: Further ``KEY=VALUE``.
    """
    content = copy.deepcopy(dict(sweep.content))
    content['name'] = sweep.name
    content['program'] = str(sweep.program.absolute())
    command = [str(word) for word in content['command']]
    place = command.index('${program}')
    command[place + 1] = str(sweep.config.absolute())
    notes = str((folder / AGENTS).absolute())
    # A training dies with its agent.
    command[place:place] = ['-I', BOOTSTRAP, '0', '-I', SUPERVISOR, notes]
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
    found.update(tags_of(sweep))
    if gpu is not None:
        found['CUDA_VISIBLE_DEVICES'] = gpu
    return found


def _stop(agents: Sequence[subprocess.Popen]) -> None:
    """End agents with their trainings: W&B's agent passes the second Ctrl-C on to what it runs."""
    for wish, patience in ((signal.SIGINT, 1), (signal.SIGINT, GRACE), (signal.SIGKILL, GRACE)):
        running = [agent for agent in agents if agent.poll() is None]
        for agent in running:
            with contextlib.suppress(ProcessLookupError):
                agent.send_signal(wish)
        end = time.monotonic() + patience
        while any(agent.poll() is None for agent in running) and time.monotonic() < end:
            time.sleep(PAUSE / 10)
    for agent in agents:
        agent.wait()
