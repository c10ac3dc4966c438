# Grad-CAM++ (WACV 2018) in the place of CAM, for two CPU cores, all else alike.
_base_ = ['../cam/cam_tiny_synthetic.py']

maps = 'gradcam_plus_plus'
