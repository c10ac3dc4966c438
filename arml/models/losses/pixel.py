"""The plain loss of a segmentor against masks."""

from __future__ import annotations

from torch import Tensor, nn

from arml.models.losses.functional import pixel_cross_entropy
from arml.registry import MODELS


@MODELS.register_module()
class PixelCrossEntropy(nn.Module):
    """Mean cross entropy over the pixels of a batch that are not ignored; 0 if there are none.

    Args:
        extra_batch_division: Whether the mean is divided once more by the number of tiles, as the released
            code of MLPS (and of ARML's plain cross entropy) does.
        ignore_index: Mask value that is left out.
    """

    def __init__(self, extra_batch_division: bool = False, ignore_index: int = 255) -> None:
        super().__init__()
        self.extra_batch_division = extra_batch_division
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss, in float32 or better.

        Args:
            logits: Scores before softmax, float, (N, K, H, W).
            target: int64 in [0, K) or ``ignore_index``, (N, H, W).

        Returns:
            Scalar.
        """
        losses = pixel_cross_entropy(logits, target, self.ignore_index)
        mean = losses.sum() / (target != self.ignore_index).sum().clamp(min=1)
        return mean / len(target) if self.extra_batch_division else mean
