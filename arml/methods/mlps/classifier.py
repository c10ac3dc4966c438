"""The classifier of MLPS: the common one, with progressive dropout attention in training."""

from typing import Any

from torch import Tensor

from arml.errors import ConfigError
from arml.models.classifiers import LinearMapHead, MultiLabelClassifier
from arml.registry import MODELS


@MODELS.register_module()
class MLPSClassifier(MultiLabelClassifier):
    """``arml.MultiLabelClassifier`` whose scores are taken behind an attention while it is trained.

    Features, class maps, and in evaluation mode the scores too are those of the common classifier: maps are
    made without the attention.

    Args:
        attention: Config of ``arml.ProgressiveDropoutAttention``. Default: as published.
        **kwargs: As of ``arml.MultiLabelClassifier``; the head must be an ``arml.LinearMapHead``.

    Raises:
        ConfigError: If the head is another one, or as of ``arml.MultiLabelClassifier``.
    """

    def __init__(self, attention: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(self.head, LinearMapHead):
            raise ConfigError(
                f'classifier.model.head.type: found {type(self.head).__name__}, expected '
                'arml.LinearMapHead: the attention of MLPS is made from its weights'
            )
        self.attention = MODELS.build(attention or dict(type='arml.ProgressiveDropoutAttention'))

    def class_scores(self, features: Tensor) -> Tensor:
        """Logits (N, K) of features (N, D, h, w), in training behind the attention."""
        return self.head.scores(self.attention(features, self.head.classifier.weight))
