# The tiny template as a single network under plain cross entropy.
_base_ = ['./pspnet_tiny.py']

model = dict(num_networks=1, swv=dict(enabled=False), srm=dict(enabled=False), lambda_=0.0)
