"""Any timm model as a backbone, dilated where wanted."""

from collections.abc import Sequence

import timm
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from arml.errors import CheckpointError, ConfigError
from arml.models.timm_weights import timm_state_dict
from arml.models.weights import read_weights
from arml.registry import MODELS


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """Feature maps of a timm model, for the classifier and as backbone of an mmseg network.

    Args:
        model_name: Name in timm, for example ``resnet18`` or ``resnest101e``.
        output_stride: Input pixels per feature at the deepest level: 8, 16 or 32 (dilated below
            32); None for models without this choice.
        out_indices: Levels that are returned, ascending; of a ResNet 0 is the stem (stride 2).
            Deeper levels are not built.
        pretrained: Whether ``init_weights`` loads the published ImageNet weights.
        checkpoint: Path of a weight file of this model in timm's names, instead of the hub's.
        norm_eval: Keep the statistics of every BN fixed while training.
        model_args: Further arguments of ``timm.create_model``.
        init_cfg: As in mmengine; None with ``pretrained=False`` is timm's own initialisation.

    Raises:
        ConfigError: If timm has no such model or refuses the arguments.
    """

    def __init__(
        self,
        model_name: str,
        output_stride: int | None = None,
        out_indices: Sequence[int] = (4,),
        pretrained: bool = True,
        checkpoint: str | None = None,
        norm_eval: bool = False,
        model_args: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.model_name = model_name
        self.pretrained = pretrained
        self.checkpoint = checkpoint
        self.norm_eval = norm_eval
        self.arguments = {
            'features_only': True,
            'out_indices': tuple(out_indices),
            **({} if output_stride is None else {'output_stride': output_stride}),
            **(model_args or {}),
        }
        if not timm.is_model(model_name):
            near = timm.list_models(f'*{model_name.split(".")[0][:6]}*')[:5]
            raise ConfigError(
                f'TimmBackbone.model_name: timm {timm.__version__} has no {model_name!r}. '
                f'Near: {", ".join(near) or "none"}; timm.list_models() lists all.'
            )
        try:
            self.net: nn.Module = timm.create_model(model_name, pretrained=False, **self.arguments)
        except (TypeError, ValueError, AssertionError, RuntimeError, NotImplementedError) as error:
            raise ConfigError(
                f'TimmBackbone: timm cannot build {model_name} with {self.arguments}: {error}. '
                'Check output_stride and out_indices.'
            ) from error
        self.channels: list[int] = self.net.feature_info.channels()
        self.strides: list[int] = self.net.feature_info.reduction()

    def init_weights(self) -> None:
        """Load the pretrained weights, if wanted.

        Not done on construction: a network that is built to load a checkpoint of its own needs
        no hub.

        Raises:
            CheckpointError: If the weights cannot be had; names the hub id, where to put the file
                and the option that trains from scratch. Also if they do not fit.
        """
        if self.pretrained and not self.init_cfg:
            weights = (
                read_weights(self.checkpoint, scratch=SCRATCH)
                if self.checkpoint
                else timm_state_dict(self.model_name, SCRATCH)
            )
            try:
                # timm itself adapts the file to the model: names, input channels, classifier.
                donor = timm.create_model(
                    self.model_name,
                    pretrained=True,
                    pretrained_cfg_overlay={'state_dict': weights, 'source': 'timm'},
                    **self.arguments,
                )
            except (RuntimeError, KeyError) as error:
                reason = str(error).strip().split('\n')[:2]
                raise CheckpointError(
                    f'pretrained weights {self.checkpoint or "of timm"} do not fit '
                    f'{self.model_name}: {" ".join(line.strip() for line in reason)} The file '
                    f'starts with {", ".join(list(weights)[:3])}. Expected weights of this '
                    'architecture in the names of timm.'
                ) from error
            self.net.load_state_dict(donor.state_dict())
        super().init_weights()

    def train(self, mode: bool = True) -> 'TimmBackbone':
        """Set the mode; all BN stay in evaluation mode if ``norm_eval``."""
        super().train(mode)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute the levels of ``out_indices``.

        Args:
            inputs: Images, float, (N, 3, H, W).

        Returns:
            One map (N, C, h, w) for each level.
        """
        return tuple(self.net(inputs))


SCRATCH = (
    '--cfg-options with pretrained=False on this backbone (classifier: '
    'classifier.model.backbone.pretrained=False; segmentor: model.network.backbone.pretrained=False)'
)
