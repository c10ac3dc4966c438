# Grad-CAM++ (WACV 2018) in the place of CAM, each class scaled by itself, all else alike.
# As ARML's paper gives it, Table 1, protocol A: mIoU 63.39.
_base_ = ['../cam/cam_resnet38_bcss.py']

maps = 'gradcam_plus_plus'
