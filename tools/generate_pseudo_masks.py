"""Make pseudo masks of a split from a trained classifier."""

import argparse
import copy
import sys
from pathlib import Path

from arml.cli import HelpFormatter, Overrides, run_tool


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/generate_pseudo_masks.py configs/classifier_resnet38_bcss.py '
        'work_dirs/run/classifier/checkpoint.pth',
        formatter_class=HelpFormatter,
    )
    parser.add_argument('config', help='config file with a classifier and pseudo_masks section')
    parser.add_argument('checkpoint', help='checkpoint of the classifier')
    parser.add_argument(
        '--out',
        help='folder for the masks; what is there is continued (default: work_dirs/masks-<config>-'
        "<first 8 digits of the checkpoint's SHA-256>, ending in -val or -test for those splits)",
    )
    parser.add_argument(
        '--split', choices=['train', 'val', 'test'], default='train',
        help='train: classes gated by the image-level label; val, test: by the classifier',
    )  # fmt: skip
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: a GPU where there is one)')
    parser.add_argument(
        '--section', default='classifier', help='section of the config with the model'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=Overrides, metavar='KEY=VALUE', help='override leaves'
    )
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    from arml.startup import start

    start()
    from arml.config import load_config
    from arml.config.sections import section_of
    from arml.errors import ConfigError
    from arml.pseudo.generate import default_folder, generate

    config = load_config(args.config, args.cfg_options)
    if 'pseudo_masks' not in config:
        raise ConfigError(f'config {args.config}: it has no section pseudo_masks.')
    settings = copy.deepcopy(config.pseudo_masks)
    settings['dataloader']['dataset']['split'] = args.split
    model = section_of(config, args.section)['model']
    checkpoint = Path(args.checkpoint)
    out = Path(args.out) if args.out else default_folder(args.config, checkpoint, args.split)
    print(f'pseudo masks of the {args.split} split go to {out}')
    made = generate(model, checkpoint, settings, out, device=args.device)
    print(f'{made.tiles} tiles, masks in ' + ', '.join(f'{out}/{name}' for name in made.names))
    if made.unscored:
        print(f'not scored against the dense masks: {made.unscored}', file=sys.stderr)
    for name, scores in made.scores.items():
        print(
            f'{name}: mIoU {scores["mIoU"]:.2f} against the dense masks of the {args.split} split'
        )
    return 0


if __name__ == '__main__':
    sys.exit(run_tool(main, 'Free some space, or give another --out; what is made is kept.'))
