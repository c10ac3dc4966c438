# The same for two CPU cores: tiles normalised by their own statistics.
_base_ = ['./oeem.py']

model = dict(data_preprocessor=dict(normalise='tile', mean=None, std=None))
