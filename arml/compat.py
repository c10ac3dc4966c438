"""The one known clash of the pinned stack, cured: CPU torch beside a CUDA-linked torchvision.

The public package index holds one build of torchvision, linked against CUDA.
Beside a CPU build of torch its operators cannot load, and ``import torchvision``
(which timm needs) dies with ``operator torchvision::nms does not exist``. arml
uses none of these operators; declaring the two schemas that the import looks up
is enough. Where both packages are of one kind, nothing is done.
"""

import importlib.util
import re
from pathlib import Path

_library = None


def torchvision_clashes() -> bool:
    """Whether torch is a CPU build and the installed torchvision is linked against CUDA."""
    import torch

    if torch.version.cuda is not None or getattr(torch.version, 'hip', None) is not None:
        return False
    spec = importlib.util.find_spec('torchvision')
    if spec is None or spec.origin is None:
        return False
    version_file = Path(spec.origin).with_name('version.py')
    if not version_file.is_file():
        return False
    return re.search(r"^__version__ = '[^']*\+cu\d+'", version_file.read_text(), re.M) is not None


def cure_torchvision() -> bool:
    """Declare torchvision's missing operator schemas if, and only if, the builds clash.

    Returns:
        Whether the schemas were declared by this call. Calling again does nothing.
    """
    global _library
    if _library is not None or not torchvision_clashes():
        return False
    import torch

    _library = torch.library.Library('torchvision', 'DEF')
    _library.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    _library.define('qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    return True
