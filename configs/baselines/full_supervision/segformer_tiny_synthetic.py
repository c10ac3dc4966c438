# The upper bound of SegFormer for two CPU cores: cross entropy on the dense masks of the training tiles.
_base_ = ['../segformer_tiny_synthetic.py']

supervision = 'masks_from_scratch'
