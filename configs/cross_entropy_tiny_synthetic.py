# The baseline of stage 2: one network of the same template, cross entropy on the same pseudo masks.
_base_ = ['./arml_tiny_synthetic.py']

model = dict(num_networks=1, swv=dict(enabled=False), srm=dict(enabled=False), lambda_=0.0)
