"""Test a checkpoint once with the test split and metric of its config."""

import argparse
import os
import sys
from pathlib import Path

from arml.cli import HelpFormatter, Overrides, run_tool


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/test.py configs/arml_tiny_synthetic.py '
        'work_dirs/run/segmentor/checkpoint.pth --out test.json',
        formatter_class=HelpFormatter,
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint of the segmentor or of the classifier')
    parser.add_argument(
        '--work-dir',
        help='folder for logs and environment.json (default: work_dirs/test-<config>-<first 8 digits of the '
        "checkpoint's SHA-256>)",
    )
    parser.add_argument(
        '--out',
        metavar='FILE.json',
        help='JSON file for the metrics (unlike --out of mmseg, which is a folder of predictions: '
        'that is --show-dir here)',
    )
    parser.add_argument('--show-dir', help='folder for the predicted masks of all tiles')
    parser.add_argument(
        '--cfg-options', nargs='+', action=Overrides, metavar='KEY=VALUE', help='override leaves'
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    from arml.startup import start

    start()
    from mmengine.dist import is_main_process

    from arml.atomic import write_json
    from arml.config import load_config
    from arml.engine import distributed
    from arml.pipeline.environment import describe_test
    from arml.pipeline.testing import default_work_dir, evaluate_checkpoint
    from arml.report.table import text_table

    config = load_config(args.config, args.cfg_options)
    checkpoint = Path(args.checkpoint)
    work_dir = Path(args.work_dir) if args.work_dir else default_work_dir(args.config, checkpoint)
    distributed.init(args.launcher)
    record = describe_test(config, checkpoint)
    if is_main_process():
        write_json(work_dir / 'environment.json', record)
    result = evaluate_checkpoint(
        config,
        checkpoint,
        work_dir,
        args.show_dir and Path(args.show_dir),
        args.launcher,
    )
    if is_main_process():
        print(text_table(result))
        if args.out:
            write_json(args.out, {**record, **result})
    return 0


if __name__ == '__main__':
    sys.exit(run_tool(main, 'Free some space, or give another --work-dir, and run it again.'))
