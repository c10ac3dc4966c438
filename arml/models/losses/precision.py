"""Float32 or better inside every loss, also under autocast."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(tensor: Tensor) -> Tensor:
    """Half precision widened to float32; float32 and float64 as they are."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def full_precision(tensor: Tensor) -> torch.autocast:
    """Autocast switched off: products of half precision would swamp small differences."""
    return torch.autocast(tensor.device.type, enabled=False)


def result_dtype(tensor: Tensor) -> torch.dtype:
    """Dtype of a loss of ``tensor``: float32, or float64 for float64."""
    return torch.promote_types(tensor.dtype, torch.float32)
