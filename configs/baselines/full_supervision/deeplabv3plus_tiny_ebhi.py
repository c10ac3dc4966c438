# The upper bound of DeepLabV3+ for two CPU cores: cross entropy on the dense masks of the training tiles.
_base_ = ['../deeplabv3plus_tiny_ebhi.py']

supervision = 'masks'
