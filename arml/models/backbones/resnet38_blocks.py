"""The two pre-activation residual blocks of ResNet38d."""

from mmcv.cnn import build_norm_layer
from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """y = conv3x3(BN-ReLU(conv3x3(a))) + shortcut, with a = BN-ReLU(x).

    The shortcut is x where the shape is kept, else a 1x1 convolution of a.

    Args:
        in_channels, mid_channels, out_channels: Widths.
        norm_cfg: Norm layer as in mmcv.
        stride: Of the first convolution and of the shortcut.
        first_dilation, dilation: Of the first and of the second convolution.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        norm_cfg: dict,
        stride: int = 1,
        first_dilation: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.bn_branch2a = build_norm_layer(norm_cfg, in_channels)[1]
        self.conv_branch2a = nn.Conv2d(
            in_channels,
            mid_channels,
            3,
            stride,
            padding=first_dilation,
            dilation=first_dilation,
            bias=False,
        )
        self.bn_branch2b1 = build_norm_layer(norm_cfg, mid_channels)[1]
        self.conv_branch2b1 = nn.Conv2d(
            mid_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.same_shape = in_channels == out_channels and stride == 1
        if not self.same_shape:
            self.conv_branch1 = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    @property
    def last_conv(self) -> nn.Conv2d:
        """The convolution that ends the residual branch."""
        return self.conv_branch2b1

    def forward(self, x: Tensor, return_activated: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Run the block; also return a = BN-ReLU(x) if ``return_activated``."""
        activated = F.relu(self.bn_branch2a(x))
        shortcut = x if self.same_shape else self.conv_branch1(activated)
        branch = self.conv_branch2a(activated)
        branch = self.conv_branch2b1(F.relu(self.bn_branch2b1(branch)))
        out = branch + shortcut
        return (out, activated) if return_activated else out


class BottleneckBlock(nn.Module):
    """y = conv1x1(g(conv3x3(g(conv1x1(a))))) + conv1x1(a), a = BN-ReLU(x), g = BN-ReLU-dropout.

    Args:
        in_channels, out_channels: Widths; the inner ones are a quarter and a half of the output.
        norm_cfg: Norm layer as in mmcv.
        dilation: Of the 3x3 convolution.
        dropout: Rate of the channel dropout before the second and the third convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm_cfg: dict, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        quarter, half = out_channels // 4, out_channels // 2
        self.bn_branch2a = build_norm_layer(norm_cfg, in_channels)[1]
        self.conv_branch2a = nn.Conv2d(in_channels, quarter, 1, bias=False)
        self.bn_branch2b1 = build_norm_layer(norm_cfg, quarter)[1]
        self.dropout_2b1 = nn.Dropout2d(dropout)
        self.conv_branch2b1 = nn.Conv2d(
            quarter, half, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.bn_branch2b2 = build_norm_layer(norm_cfg, half)[1]
        self.dropout_2b2 = nn.Dropout2d(dropout)
        self.conv_branch2b2 = nn.Conv2d(half, out_channels, 1, bias=False)
        self.conv_branch1 = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    @property
    def last_conv(self) -> nn.Conv2d:
        """The convolution that ends the residual branch."""
        return self.conv_branch2b2

    def forward(self, x: Tensor, return_activated: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Run the block; also return a = BN-ReLU(x) if ``return_activated``."""
        activated = F.relu(self.bn_branch2a(x))
        branch = self.conv_branch2a(activated)
        branch = self.dropout_2b1(F.relu(self.bn_branch2b1(branch)))
        branch = self.conv_branch2b1(branch)
        branch = self.dropout_2b2(F.relu(self.bn_branch2b2(branch)))
        out = self.conv_branch2b2(branch) + self.conv_branch1(activated)
        return (out, activated) if return_activated else out
