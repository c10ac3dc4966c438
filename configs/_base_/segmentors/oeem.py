# Stage 2 of OEEM: one network, set by network (a file of ../networks), under online easy example mining.
_base_ = ['./single_network.py']

title = 'OEEM'
model = dict(
    mask_loss=dict(_delete_=True, type='arml.OEEMLoss', temperature=1.0, ignored_in_weights=False))
