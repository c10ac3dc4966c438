# method=NAME: the rows of Table 1 for two CPU cores, each the config of its own. What differs is the method, and of
# arml_released pixels and augmentation, too.
method_configs = {
    'arml': 'arml_tiny_ebhi.py',
    'arml_released': 'arml_released_tiny_ebhi.py',
    'cam': 'cam/cam_tiny_ebhi.py',
    'gradcam_plus_plus': 'gradcam_plus_plus/gradcam_plus_plus_tiny_ebhi.py',
    'mlps': 'mlps/mlps_tiny_ebhi.py',
    'oeem': 'oeem/oeem_tiny_ebhi.py',
    'pspnet': 'baselines/pspnet_tiny_ebhi.py',
    'deeplabv3plus': 'baselines/deeplabv3plus_tiny_ebhi.py',
    'upernet': 'baselines/upernet_tiny_ebhi.py',
    'segformer': 'baselines/segformer_tiny_ebhi.py',
    'bisenetv1': 'baselines/bisenetv1_tiny_ebhi.py',
    'full_supervision': 'baselines/full_supervision/pspnet_tiny_ebhi.py',
}
method = 'arml'
# ARML in another form: in a report the best method is not tested against a variant of itself.
method_variants = dict(arml=['arml_released'])
# Shown beside the others, with which they do not compete: trained on dense masks.
method_upper_bounds = ['full_supervision']
