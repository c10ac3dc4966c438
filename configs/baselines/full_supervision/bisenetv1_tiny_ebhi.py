# The upper bound of BiSeNetV1 for two CPU cores: cross entropy on the dense masks of the training tiles.
_base_ = ['../bisenetv1_tiny_ebhi.py']

supervision = 'masks_from_scratch'
