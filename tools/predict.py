"""Predict the tissue of images: masks, overlays and the share of each class."""

import argparse
import sys

from arml.cli import ADVICE_OUT, HelpFormatter, Overrides, run_tool


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/predict.py configs/arml_tiny_synthetic.py '
        'work_dirs/run/segmentor/checkpoint.pth slides/ tile.png --out predictions --mpp 0.5',
        formatter_class=HelpFormatter,
    )
    parser.add_argument('config', help='config file that the checkpoint was trained with')
    parser.add_argument('checkpoint', help='checkpoint of the segmentor')
    parser.add_argument('images', nargs='+', help='image files, or folders of images')
    parser.add_argument('--out', required=True, help='folder for the results')
    parser.add_argument(
        '--mpp',
        type=float,
        help='microns per pixel of the images; without it they are taken to be at the scale of '
        'the training tiles',
    )
    parser.add_argument('--overlay-alpha', type=float, default=0.4, help='weight of the colours')
    parser.add_argument('--overlap', type=float, default=0.5, help='least overlap of windows')
    parser.add_argument('--batch-size', type=int, default=8, help='windows at once')
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: a GPU where there is one)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=Overrides, metavar='KEY=VALUE', help='override leaves'
    )
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    from arml.startup import start

    start()
    from arml.config import load_config
    from arml.errors import ConfigError
    from arml.inference.folder import check_arguments, find_images, predict_images
    from arml.inference.predictor import TissuePredictor
    from arml.pipeline.data import metainfo_of

    check_arguments(args.mpp, args.overlay_alpha)
    images = find_images(args.images)
    config = load_config(args.config, args.cfg_options)
    if 'test_dataloader' not in config:
        raise ConfigError(
            f'config {args.config}: test_dataloader missing, which names the data set'
        )
    predictor = TissuePredictor.from_checkpoint(
        args.checkpoint,
        config,
        device=args.device,
        overlap=args.overlap,
        batch_size=args.batch_size,
        classes=metainfo_of(config.test_dataloader['dataset'])['classes'],
    )
    predicted = predict_images(
        predictor,
        images,
        args.out,
        mpp=args.mpp,
        alpha=args.overlay_alpha,
        settings={'config': args.config, 'checkpoint': args.checkpoint},
    )
    print(f'{len(predicted.shares)} of {len(images)} images predicted: {args.out}')
    for fault in predicted.faults:
        print(f'error: {fault}', file=sys.stderr)
    return 1 if predicted.faults else 0


if __name__ == '__main__':
    sys.exit(run_tool(main, ADVICE_OUT))
