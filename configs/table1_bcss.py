# method=NAME: the rows of Table 1, each the config of its own.
method_configs = {
    'arml': 'arml_resnest101_bcss.py',
    'arml_resnet38': 'arml_resnet38_bcss.py',
    'arml_mit-b3': 'arml_mit-b3_bcss.py',
    'arml_released': 'arml_released_resnest101_bcss.py',
    'cam': 'cam/cam_resnet38_bcss.py',
    'gradcam_plus_plus': 'gradcam_plus_plus/gradcam_plus_plus_resnet38_bcss.py',
    'mlps': 'mlps/mlps_resnet101_bcss.py',
    'oeem': 'oeem/oeem_resnet38_bcss.py',
    'pspnet': 'baselines/pspnet_r101_bcss.py',
    'deeplabv3plus': 'baselines/deeplabv3plus_r101_bcss.py',
    'upernet': 'baselines/upernet_r101_bcss.py',
    'segformer': 'baselines/segformer_mit-b3_bcss.py',
    'bisenetv1': 'baselines/bisenetv1_r18_bcss.py',
}
method = 'arml'
# ARML in other forms: in a report the best method is not tested against a variant of itself.
method_variants = dict(arml=['arml_resnet38', 'arml_mit-b3', 'arml_released'])
