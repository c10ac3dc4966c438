"""Pooling and one linear map: class scores, and class maps from the same weights."""

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from arml.errors import ConfigError
from arml.registry import MODELS


@MODELS.register_module()
class LinearMapHead(BaseModule):
    r"""Channel dropout, global average pooling, 1x1 convolution.

    .. math:: z_k = \frac{1}{hw} \sum_u W_k^\top \mathrm{drop}(f)_u + b_k, \qquad
              M_k(u) = W_k^\top f_u + b_k

    So the mean of a class map is its score (in evaluation mode): the map is the score's share of
    each position. Source: CAM (Zhou et al., 2016); Xavier initialisation as in the released code.

    Args:
        num_classes: K.
        in_channels: C of the features.
        dropout: Rate of the channel dropout, in [0, 1).
        bias: Whether there is a b (0 at the start), in the scores and in the maps alike; otherwise it is 0.
        init_cfg: As in mmengine.

    Raises:
        ConfigError: If the rate is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        dropout: float = 0.5,
        bias: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not 0 <= dropout < 1:
            raise ConfigError(f'LinearMapHead.dropout: found {dropout}, expected 0 <= rate < 1.')
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(in_channels, num_classes, 1, bias=bias)
        nn.init.xavier_uniform_(self.classifier.weight)
        if bias:
            nn.init.zeros_(self.classifier.bias)

    def scores(self, features: Tensor) -> Tensor:
        """Logits (N, K) of features (N, C, h, w)."""
        pooled = F.adaptive_avg_pool2d(self.dropout(features), 1)
        return self.classifier(pooled).flatten(1)

    def maps(self, features: Tensor) -> Tensor:
        """Raw class maps (N, K, h, w) of features (N, C, h, w): no dropout, no ReLU."""
        return F.conv2d(features, self.classifier.weight, self.classifier.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Same as :meth:`scores`."""
        return self.scores(features)
