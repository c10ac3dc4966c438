"""Convert the published MXNet weights of ResNet38d, without MXNet.

The file is ilsvrc-cls_rna-a1_cls1000_ep-0001.params of "Wider or Deeper" (itijyou/ademxapp,
ImageNet-1k). Its original link is dead; copies circulate with ARML, ESFAN and SSHR. Check the
licence of the weights before you pass them on.
"""

import argparse
import sys
from pathlib import Path

from arml.cli import ADVICE_OUT, run_tool


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/model_converters/resnet38d.py '
        'ilsvrc-cls_rna-a1_cls1000_ep-0001.params data/weights/resnet38d.pth',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('source', help='the .params file')
    parser.add_argument('target', help='file to write, .pth or .safetensors')
    parser.add_argument('--sha256', help='refuse the source if it has another SHA-256')
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    from arml.models.weights_mxnet import convert

    report = convert(Path(args.source), Path(args.target), args.sha256)
    print(f'{args.source}: SHA-256 {report.source_sha256}')
    print(f'{args.target}: SHA-256 {report.target_sha256}')
    print(f'{report.tensors} tensors, {report.values / 1e6:.1f} M values')
    print(
        "use: init_cfg=dict(type='Pretrained', checkpoint='" + args.target + "') of arml.ResNet38d"
    )
    return 0


if __name__ == '__main__':
    sys.exit(run_tool(main, ADVICE_OUT.replace('an --out', 'a target')))
