"""Measure speed and memory against straightforward implementations, as ratios within one run."""

import argparse
import sys

from arml.cli import HelpFormatter, Overrides, run_tool

FULL = 'configs/arml_resnest101_bcss.py'
CLASSIFIER = 'configs/arml_resnet38_bcss.py'
TINY = 'configs/arml_tiny_ebhi.py'
SYNTHETIC = 'configs/arml_tiny_synthetic.py'


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/analysis_tools/benchmark.py losses --out losses.json',
        formatter_class=HelpFormatter,
    )
    works = parser.add_subparsers(dest='work', required=True, metavar='WORK')
    shared = common()
    for name, text, example, add in (
        ('losses', 'L_st against the explicit difference tensors', '', add_losses),
        (
            'pseudo_masks',
            'pseudo masks against one tile, class and layer at a time',
            '--labels-from data/ebhi',
            add_pseudo_masks,
        ),
        (
            'train_step',
            'stage-2 step of three networks against three plain steps of one',
            '--cfg-options model.network.backbone.encoder_depth=3',
            add_train_step,
        ),
        ('stage1_step', 'stage-1 step with ARS against without', '', add_stage1_step),
        (
            'dataloader',
            'loading with augmentation against plain decoding',
            f'--config {TINY} --step',
            add_dataloader,
        ),
        (
            'sweep',
            'the start of a cell and a sweep of short cells against their own time',
            '--repeats 3',
            add_sweep,
        ),
        (
            'cost',
            'what methods cost: parameters, operations, training, inference, memory',
            f'{TINY} {SYNTHETIC} --repeats 3 --out costs.json',
            add_cost,
        ),
    ):
        work = works.add_parser(
            name,
            help=text,
            description=f'Measure: {text}.',
            parents=[brief() if name == 'cost' else shared],
            epilog=f'example: python tools/analysis_tools/benchmark.py {name} {example}'.rstrip(),
            formatter_class=HelpFormatter,
        )
        add(work)
    return parser.parse_args(argv)


def brief():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('--out', metavar='FILE.json', help='JSON file for all measurements')
    parser.add_argument('--repeats', type=int, default=7, help='rounds; each measures all in turn')
    parser.add_argument('--threads', type=int, help='threads of torch (default: as it is set)')
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: a GPU where there is one)')
    return parser


def common():
    parser = argparse.ArgumentParser(add_help=False, parents=[brief()])
    parser.add_argument('--warmup', type=int, default=1, help='calls before the first round')
    parser.add_argument(
        '--least-seconds', type=float, default=0.2,
        help='short work is called several times, so that a measurement takes about this long',
    )  # fmt: skip
    parser.add_argument(
        '--memory-repeats', type=int, default=3, help='processes that measure a peak of memory'
    )
    parser.add_argument('--tf32', action='store_true', help='let a GPU round float32 to TF32')
    parser.add_argument('--seed', type=int, default=0, help='of all random numbers')
    return parser


def add_config(parser, default):
    parser.add_argument('--config', default=default, help='config file')
    parser.add_argument(
        '--cfg-options', nargs='+', action=Overrides, metavar='KEY=VALUE', help='override leaves'
    )


def add_section(parser):
    parser.add_argument('--section', default='classifier', help='section of the config')


def add_tiles(parser, batch):
    parser.add_argument('--batch', type=int, default=batch, help='tiles at once')
    parser.add_argument('--size', type=int, default=224, help='side of a tile in pixels')


def add_channels_last(parser):
    parser.add_argument('--channels-last', action='store_true', help='channels last in memory')


def add_variant(parser):
    add_channels_last(parser)
    parser.add_argument('--compile', action='store_true', help='torch.compile backbones and heads')
    parser.add_argument('--amp', choices=['bf16', 'fp16'], help='autocast; fp16 on a GPU only')


def add_losses(parser):
    add_tiles(parser, 20)
    parser.add_argument('--channels', type=int, default=4, help='channels of the logits')
    parser.add_argument('--per-tile', type=int, default=64, help='pixels that are samples')
    parser.add_argument('--noise', type=float, default=1e-3, help='between near-equal peers')


def add_pseudo_masks(parser):
    add_config(parser, CLASSIFIER)
    add_section(parser)
    add_tiles(parser, 8)
    parser.add_argument(
        '--layers', nargs='+', default=['b4_5', 'b5_2', 'bn7'],
        help='of the maps; the last one is also measured alone',
    )  # fmt: skip
    parser.add_argument('--tiles', type=int, default=16, help='tiles of our measurement')
    parser.add_argument(
        '--reference-tiles', type=int, default=1, help='tiles of a measurement of the slow loop'
    )
    parser.add_argument(
        '--labels-from', metavar='FOLDER',
        help='data folder whose training labels give the mix (default: that of synthetic tissue)',
    )  # fmt: skip
    parser.add_argument('--ars', action='store_true', help='read the maps through ARS')
    add_channels_last(parser)


def add_train_step(parser):
    add_config(parser, FULL)
    add_tiles(parser, 4)
    add_variant(parser)
    parser.add_argument(
        '--stacked', action='store_true',
        help='also measure the three networks as one with stacked parameters',
    )  # fmt: skip


def add_stage1_step(parser):
    add_config(parser, CLASSIFIER)
    add_section(parser)
    add_tiles(parser, 4)
    add_variant(parser)


def add_dataloader(parser):
    add_config(parser, TINY)
    parser.add_argument('--stages', default='12', help='1, 2 or 12')
    parser.add_argument('--tiles', type=int, default=256, help='tiles of a measurement')
    parser.add_argument(
        '--draw', type=int, default=0,
        help="synthetic tiles to draw and load instead of the config's data, 0 for none",
    )  # fmt: skip
    parser.add_argument('--draw-size', type=int, default=224, help='side of drawn tiles in pixels')
    parser.add_argument(
        '--step', action='store_true', help="also measure the config's training step"
    )


def add_sweep(parser):
    parser.add_argument('--config', default=SYNTHETIC, help='config file, for synthetic tissue')
    parser.add_argument('--cells', type=int, default=12, help='cells of a sweep')
    parser.add_argument('--epochs', type=int, default=1, help='of each segmentor')
    parser.add_argument('--draw', type=int, default=24, help='training tiles to draw')
    parser.add_argument('--draw-size', type=int, default=224, help='their side in pixels')


def add_cost(parser):
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files')
    parser.add_argument(
        '--cfg-options', nargs='+', action=Overrides, metavar='KEY=VALUE', help='override leaves'
    )


def main(argv=None) -> int:
    options = vars(parse_args(argv))
    from arml.startup import start

    start()
    from arml.atomic import write_json
    from arml.benchmark import run_benchmark
    from arml.benchmark.harness import Harness
    from arml.device import device_of

    work, out = options.pop('work'), options.pop('out')
    harness = Harness(
        device=device_of(options.pop('device')),
        **{key: options.pop(key) for key in (
            'repeats', 'warmup', 'least_seconds', 'memory_repeats', 'threads', 'tf32', 'seed',
        ) if key in options},
    )  # fmt: skip
    report = run_benchmark(work, harness, options)
    print(report.table())
    if out:
        write_json(out, report.as_dict())
    return 0


if __name__ == '__main__':
    sys.exit(run_tool(main))
