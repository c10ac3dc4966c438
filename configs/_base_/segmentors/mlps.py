# Stage 2 of MLPS: one network, set by network (a file of ../networks), the masks of three layers, and the classifier
# as a gate at test time. The pipeline sets the gate's checkpoint to the trained classifier.
_base_ = ['./single_network.py']

title = 'MLPS'
model = dict(
    type='arml.MLPSSegmentor',
    mask_weights=dict(deep=0.6, middle=0.2, shallow=0.2),
    gate=dict(
        enabled=True,
        threshold=0.1,
        mode='minus_infinity',
        in_validation=False,
        # the section whose model it is; model is filled in from there
        model_of='classifier',
        model=None,
        checkpoint=None))
