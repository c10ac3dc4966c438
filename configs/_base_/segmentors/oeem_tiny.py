# Stage 2 of OEEM for two CPU cores: its loss on the template that all tiny configs share, without another head.
_base_ = ['./single_network_tiny.py', '../networks/pspnet_tiny.py']

title = 'OEEM'
model = dict(
    mask_loss=dict(_delete_=True, type='arml.OEEMLoss', temperature=1.0, ignored_in_weights=False))
