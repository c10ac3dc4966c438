# SegFormer on a MiT of a quarter of B0's width, from scratch: there is no classifier of its kind to start from.
_base_ = ['./segformer_mit-b3.py']

network = dict(
    backbone=dict(embed_dims=16, num_layers=[1, 1, 1, 1], drop_path_rate=0.0, init_cfg=None),
    decode_head=dict(in_channels=[16, 32, 80, 128], channels=64))
