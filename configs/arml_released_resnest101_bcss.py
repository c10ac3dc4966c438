# ARML as its authors' released code does it, side by side with the paper's (arml_resnest101_bcss.py).
_base_ = ['./arml_resnest101_bcss.py', './_base_/choices/released.py']

released = 'full'
