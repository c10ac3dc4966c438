# The upper bound of UPerNet for two CPU cores: cross entropy on the dense masks of the training tiles.
_base_ = ['../upernet_tiny_synthetic.py']

supervision = 'masks'
