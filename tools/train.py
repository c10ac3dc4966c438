"""Run a config: all stages of its pipeline, each once, ending with a table and a picture."""

import argparse
import os
import sys

from arml.cli import HelpFormatter, Overrides, run_tool
from arml.signals import sigterm_is_an_exit


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/train.py configs/arml_tiny_synthetic.py '
        '--cfg-options model.swv.omega=3 randomness.seed=1',
        formatter_class=HelpFormatter,
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir', help='folder of the result (default: work_dirs/<config>-<key>)'
    )
    parser.add_argument(
        '--resume',
        action='store_true',
        help='continue an interrupted stage from its last checkpoint',
    )
    parser.add_argument(
        '--amp', nargs='?', const='fp16', choices=['fp16', 'bf16'],
        help='automatic mixed precision, GPU only; without a value fp16, with a scaled loss',
    )  # fmt: skip
    parser.add_argument(
        '--cfg-options', nargs='+', action=Overrides, metavar='KEY=VALUE',
        help='override leaves of the config; a key that does not exist is an error',
    )  # fmt: skip
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    from arml.startup import start

    start()
    from arml.config import load_config
    from arml.pipeline import run_pipeline

    config = load_config(args.config, args.cfg_options, for_run=True)
    with sigterm_is_an_exit():
        run_pipeline(
            config, args.work_dir, args.resume, args.amp, args.launcher, overrides=args.cfg_options
        )
    return 0


if __name__ == '__main__':
    sys.exit(run_tool(main))
