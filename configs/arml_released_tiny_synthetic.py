# ARML for two CPU cores as its authors' released code does it, beside arml_tiny_synthetic.py.
_base_ = ['./arml_tiny_synthetic.py', './_base_/choices/released.py']

released = 'tiny'
