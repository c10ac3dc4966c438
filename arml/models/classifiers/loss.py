"""The loss of image-level labels."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arml.registry import MODELS


@MODELS.register_module()
class MultiLabelSoftMarginLoss(nn.Module):
    r"""Binary cross entropy of every class on its own, averaged over classes, then over tiles.

    .. math:: \ell = -\frac{1}{NK} \sum_{n,k} y_{nk} \log \sigma(z_{nk})
              + (1 - y_{nk}) \log (1 - \sigma(z_{nk}))

    Args:
        loss_weight: Factor.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss, in float32 or better.

        Args:
            logits: Scores before the sigmoid, float, (N, K).
            labels: 0 or 1, (N, K).

        Returns:
            Scalar.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return self.loss_weight * F.multilabel_soft_margin_loss(logits, labels.to(logits.dtype))
