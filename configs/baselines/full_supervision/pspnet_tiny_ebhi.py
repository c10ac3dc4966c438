# The upper bound of PSPNet for two CPU cores: cross entropy on the dense masks of the training tiles.
_base_ = ['../pspnet_tiny_ebhi.py']

supervision = 'masks'
