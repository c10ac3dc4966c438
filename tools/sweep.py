"""Run the cells of a sweep file that its ledger lacks; say how far it is, stop it, read its ledger."""

import argparse
import json
import os
import shlex
import sys
from collections import Counter
from pathlib import Path

from arml.cli import HelpFormatter, run_tool

#: Options of one engine, each with what it is without being given.
OF_ENGINE = {
    'optuna': {
        'attempts': 3, 'storage': None, 'heartbeat': None, 'grace': None, 'start': None, 'sampler': None,
        'sampler_seed': 0,
    },
    'wandb': {'sweep_id': None, 'project': None, 'entity': None},
}  # fmt: skip
CELLS = 'for all cells; part of what tells them from others, so give it to each command'


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'found {text!r}, expected a whole number from 1')
    return int(text)


def names(text: str) -> list[str]:
    found = [part.strip() for part in text.split(',')]
    if not all(found) or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f'found {text!r}, expected names of GPUs such as 0,1')
    return found


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/sweep.py run sweeps/table3_omega_tiny_synthetic.yaml --workers 2',
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(dest='command', required=True)

    def command(name, text):
        found = commands.add_parser(
            name, help=text, description=text, formatter_class=HelpFormatter
        )
        found.add_argument('sweep', help="sweep file in W&B's schema")
        found.add_argument(
            '--ledger', help='its ledger (default: work_dirs/sweeps/<name>/ledger.jsonl)'
        )
        found.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help=CELLS)
        return found

    add_running(command('run', 'run the cells that are not finished'))
    retry = command('retry', 'as run, with new tries for the cells that have failed')
    add_running(retry)
    retry.add_argument(
        '--no-run', action='store_true',
        help='only note the new tries; who runs the sweep now or later, on a cluster too, takes them',
    )  # fmt: skip
    status = command('status', 'say which cells are finished, running, failed')
    status.add_argument('--out', metavar='FILE.json', help='write it there for programs, too')
    command('stop', 'ask all workers of the sweep to stop; run continues it')
    table = command('table', 'compare the values of a parameter')
    table.add_argument('--parameter', required=True, help='dotted path that is compared')
    table.add_argument('--reference', required=True, help='its value to compare with')
    table.add_argument(
        '--row', default='segmentor', help="line of the runs' tables: segmentor, maps, or a name"
    )
    table.add_argument('--metric', default='mIoU', help='score of that line')
    export = command('export', 'write the ledger as a table, or into W&B')
    export.add_argument('--to', required=True, choices=['csv', 'json', 'wandb'])
    export.add_argument('--out', metavar='FILE', help='file for csv and json (default: the output)')
    add_wandb(export)
    return parser.parse_args(argv)


def add_running(parser):
    parser.add_argument(
        '--workers', type=at_least_one, help='cells at a time (default: 1, or one a GPU)'
    )
    parser.add_argument(
        '--gpus', type=names, default=[], metavar='0,1,..', help='GPUs, one for each worker'
    )
    parser.add_argument('--attempts', type=at_least_one, help='tries of a cell (default: 3)')
    parser.add_argument(
        '--storage', metavar='URL',
        help='database that workers share, e.g. postgresql+psycopg://USER@HOST/DATABASE (default: ARML_STORAGE, '
        "else SQLite in the sweep's folder)",
    )  # fmt: skip
    parser.add_argument(
        '--heartbeat', type=at_least_one, metavar='SECONDS',
        help='between two signs of life of a running cell (default: the leaf sweep.heartbeat of the config)',
    )  # fmt: skip
    parser.add_argument(
        '--grace', type=at_least_one, metavar='SECONDS',
        help='without a sign of life until a cell of another machine is taken for lost (default: sweep.grace)',
    )  # fmt: skip
    parser.add_argument(
        '--start', choices=['warm', 'fresh'],
        help='cells as forks of a process that has imported everything, or as new interpreters (default: warm '
        'where there is no GPU)',
    )  # fmt: skip
    parser.add_argument('--sampler', metavar='NAME', help="of a search, by Optuna's name")
    parser.add_argument('--sampler-seed', type=int, help='of its random numbers (default: 0)')
    parser.add_argument(
        '--engine', choices=['optuna', 'wandb'], default='optuna',
        help='who hands out the cells; from --attempts to --sampler-seed all is of optuna, from --sweep-id to '
        '--entity of wandb',
    )  # fmt: skip
    parser.add_argument('--sweep-id', metavar='PATH', help='W&B sweep to join (--engine wandb)')
    add_wandb(parser)
    parser.add_argument('--dry-run', action='store_true', help='only print the commands')


def add_wandb(parser):
    parser.add_argument('--project', help='W&B project')
    parser.add_argument('--entity', help='W&B entity')


def settle_options(args) -> None:
    """Refuse options of another engine, which would be ignored; set those of this one that were not given."""
    from arml.errors import ConfigError

    for engine, options in OF_ENGINE.items():
        for name, value in options.items():
            if getattr(args, name) is None:
                setattr(args, name, value)
            elif engine != args.engine:
                raise ConfigError(
                    f'--{name.replace("_", "-")}: found with --engine {args.engine}, which has no such thing; '
                    f'expected with --engine {engine}. Leave it out, or choose that engine.'
                )
    args.storage = args.storage or os.environ.get('ARML_STORAGE')


def main(argv=None) -> int:
    args = parse_args(argv)
    if args.command in ('run', 'retry'):
        settle_options(args)
    from arml.startup import start

    start()
    from arml.ablation import Ledger, cells_of, read_sweep

    sweep = read_sweep(args.sweep)
    folder = Path('work_dirs') / 'sweeps' / sweep.name
    ledger = Ledger(args.ledger or folder / 'ledger.jsonl')
    if args.command == 'stop':
        return stop(sweep, folder)
    if args.command == 'retry' and args.no_run:
        return retry(args, sweep, ledger, folder)
    cells = cells_of(sweep, args.cfg_options) if sweep.method == 'grid' else []
    if args.command in ('run', 'retry'):
        return run(args, sweep, cells, ledger, folder)
    if args.command == 'export':
        return export(args, sweep, cells, ledger)
    if args.command == 'table':
        print_table(args, sweep, cells, ledger)
    else:
        print_status(args, sweep, cells, ledger, folder)
    return 0


def run(args, sweep, cells, ledger, folder) -> int:
    from arml.ablation.outcome import last_words
    from arml.report.result import newest_by_run

    if args.dry_run:
        return print_commands(args, sweep, cells, ledger, folder)
    workers = args.workers or len(args.gpus) or 1
    if args.engine == 'wandb':
        from arml.ablation.wandb_engine import run_agents

        missing = run_agents(
            sweep, cells, ledger, folder, workers, args.cfg_options, args.gpus, args.sweep_id,
            args.project, args.entity,
        )  # fmt: skip
    else:
        import torch

        from arml.ablation.queue import Work
        from arml.ablation.run import How, intervals_of, run_sweep

        # Untried with a GPU, where cells are long and their start is short.
        warm = args.start == 'warm' or (args.start is None and not torch.cuda.is_available())
        work = Work(sweep, ledger, folder, args.cfg_options, args.attempts)
        intervals = intervals_of(sweep, args.cfg_options)
        given = {'heartbeat': args.heartbeat, 'grace': args.grace}
        intervals.update({name: seconds for name, seconds in given.items() if seconds is not None})
        how = How(
            workers=workers, gpus=args.gpus, storage=args.storage, warm=warm, **intervals,
            retry=args.command == 'retry', sampler=args.sampler, seed=args.sampler_seed,
        )  # fmt: skip
        missing = run_sweep(work, cells, how)
    rows = newest_by_run(ledger.rows())
    for cell in missing:
        row = rows.get(cell.run, {'status': 'not finished'})
        log = folder / (f'{cell.run}/log.txt' if args.engine == 'optuna' else 'agents')
        print(f'{row["status"]}: {cell.title}; its log: {log}{last_words(row)}', file=sys.stderr)
    return 1 if missing else 0


def print_commands(args, sweep, cells, ledger, folder) -> int:
    from arml.ablation import command_of

    if sweep.method != 'grid':
        print(
            f'sweep {sweep.name}: {sweep.method}, up to {sweep.run_cap} cells that a sampler proposes; '
            'their commands are not known before',
            file=sys.stderr,
        )
    elif args.engine == 'wandb':
        print(
            f'sweep {sweep.name}: agents of W&B would run these, in its own order', file=sys.stderr
        )
    if args.engine == 'wandb':
        folder = None  # it hands out finished cells too, which take seconds
    else:
        statuses = ledger.statuses()
        cells = [cell for cell in cells if statuses.get(cell.run) != 'finished']
    for cell in cells:
        command = command_of(sweep, cell, folder, args.cfg_options)
        print(shlex.join([sys.executable, *command]))
    return 0


def stop(sweep, folder) -> int:
    from arml.ablation.agent_runs import agent_runs
    from arml.ablation.process import running_cells
    from arml.ablation.run import request_stop

    by_agents = [run for run in agent_runs(folder) if run.is_alive]
    running = len(running_cells(folder)) + len(by_agents)
    request_stop(folder)
    print(
        f'{sweep.name}: asked its workers to stop; {running} cells are running. What they have done is kept, the '
        'command run continues it.'
    )
    if by_agents:
        print(
            'Agents of W&B that were started by hand do not hear this: end them with Ctrl-C, or all of them with '
            'wandb sweep --cancel, which names the sweep as run did.'
        )
    return 0


def retry(args, sweep, ledger, folder) -> int:
    from arml.ablation.queue import Work
    from arml.ablation.run import forgive

    runs = forgive(Work(sweep, ledger, folder, args.cfg_options))
    print(f'{sweep.name}: {len(runs)} failed cells have new tries. The command run runs them.')
    return 0


def print_status(args, sweep, cells, ledger, folder) -> None:
    from arml.ablation import as_options
    from arml.ablation.agent_runs import running_under_agents
    from arml.ablation.outcome import last_words
    from arml.ablation.process import running_cells
    from arml.atomic import write_json
    from arml.report.result import newest_by_run

    by_agents = running_under_agents(sweep, cells, folder, args.cfg_options)
    rows, running = newest_by_run(ledger.rows()), running_cells(folder) | by_agents.keys()
    failures, counted = ledger.failures(), ledger.counted_failures()
    titles = {cell.run: cell.title for cell in cells}
    if sweep.method != 'grid':
        for run, row in rows.items():
            titles[run] = ', '.join(as_options(row['parameters']))
        titles = {
            **titles,
            **{run: by_agents.get(run, 'see its log') for run in running - titles.keys()},
        }
    words, found = Counter(), []
    for run, title in titles.items():
        word = rows[run]['status'] if run in rows else 'to run'
        if word == 'failed' and not counted[run]:  # forgiven by retry
            word = 'to run'
        if word != 'finished' and run in running:
            word = 'running'
        words[word] += 1
        found.append({'run': run, 'status': word, 'failures': failures[run], 'title': title})
        tries = f' (failed {failures[run]} times)' if failures[run] and word != 'finished' else ''
        end = last_words(rows[run]) if word == 'failed' else ''
        print(f'{run} {word:<8} {title}{tries}{end}')
    print(f'{len(titles)} cells: ' + ', '.join(f'{n} {word}' for word, n in words.items()))
    if args.out:
        write_json(args.out, {'sweep': sweep.name, 'counts': dict(words), 'cells': found})


def export(args, sweep, cells, ledger) -> int:
    from arml.ablation.export import csv_table, newest_rows
    from arml.atomic import write_text

    runs = [cell.run for cell in cells] if sweep.method == 'grid' else None
    rows = newest_rows(ledger.rows(), runs)
    if args.to == 'wandb':
        from arml.pipeline.messages import say
        from arml.tracking import export_ledger

        count = export_ledger(rows, sweep, args.project, args.entity, say)
        print(f'{sweep.name}: {count} runs written to W&B')
        return 0
    text = csv_table(rows) if args.to == 'csv' else json.dumps(rows, indent=2) + '\n'
    if args.out:
        write_text(args.out, text)
    else:
        sys.stdout.write(text)
    return 0


def print_table(args, sweep, cells, ledger) -> None:
    from arml.ablation import read_options, rows_of
    from arml.report.differences import differences, differences_table

    statuses, finished = ledger.statuses(), ledger.finished()
    missing = [cell for cell in cells if cell.run not in finished]
    strangers = len(finished.keys() - {cell.run for cell in cells})
    if missing and strangers:
        print(
            f'{ledger.path} has {strangers} finished runs that are no cells of this sweep: of another '
            'config, data or --cfg-options',
            file=sys.stderr,
        )
    # Read as the values of the sweep file are: 1e-3 is 0.001.
    reference = read_options([f'{args.parameter}={args.reference}'], '--reference')[args.parameter]
    found = differences(
        rows_of(cells, finished), args.parameter, reference, args.row, args.metric,
        values=sweep.parameters.get(args.parameter, ()),
    )  # fmt: skip
    print(differences_table(found, args.metric))
    if missing:
        print(f'\nMissing are {len(missing)} of {len(cells)} cells:')
        for cell in missing:
            print(f'- {cell.title}' + (' (failed)' if cell.run in statuses else ''))


if __name__ == '__main__':
    sys.exit(run_tool(main))
