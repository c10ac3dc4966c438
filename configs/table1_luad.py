# method=NAME: the rows of Table 1, each the config of its own.
method_configs = {
    'arml': 'arml_resnest101_luad.py',
    'arml_resnet38': 'arml_resnet38_luad.py',
    'arml_mit-b3': 'arml_mit-b3_luad.py',
    'arml_released': 'arml_released_resnest101_luad.py',
    'cam': 'cam/cam_resnet38_luad.py',
    'gradcam_plus_plus': 'gradcam_plus_plus/gradcam_plus_plus_resnet38_luad.py',
    'mlps': 'mlps/mlps_resnet101_luad.py',
    'oeem': 'oeem/oeem_resnet38_luad.py',
    'pspnet': 'baselines/pspnet_r101_luad.py',
    'deeplabv3plus': 'baselines/deeplabv3plus_r101_luad.py',
    'upernet': 'baselines/upernet_r101_luad.py',
    'segformer': 'baselines/segformer_mit-b3_luad.py',
    'bisenetv1': 'baselines/bisenetv1_r18_luad.py',
}
method = 'arml'
# ARML in other forms: in a report the best method is not tested against a variant of itself.
method_variants = dict(arml=['arml_resnet38', 'arml_mit-b3', 'arml_released'])
