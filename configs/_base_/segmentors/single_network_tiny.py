# The same for two CPU cores: tiles normalised by their own statistics.
_base_ = ['./single_network.py']

model = dict(data_preprocessor=dict(normalise='tile', mean=None, std=None))
