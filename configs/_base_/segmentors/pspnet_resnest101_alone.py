# Stage 2 of the methods that only define a map: the template of ARML as one network under plain cross entropy.
_base_ = ['./pspnet_resnest101.py']

model = dict(num_networks=1, swv=dict(enabled=False), srm=dict(enabled=False), lambda_=0.0)
