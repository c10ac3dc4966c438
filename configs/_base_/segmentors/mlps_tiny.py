# The same for two CPU cores: tiles normalised by their own statistics, as the classifier's.
_base_ = ['./mlps.py']

model = dict(data_preprocessor=dict(normalise='tile', mean=None, std=None))
