# Grad-CAM++ (WACV 2018) in the place of CAM, each class scaled by itself, all else alike.
# As ARML's paper gives it, Table 1, protocol A: mIoU 67.25.
_base_ = ['../cam/cam_resnet38_luad.py']

maps = 'gradcam_plus_plus'
