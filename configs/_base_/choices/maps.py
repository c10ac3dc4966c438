# maps=NAME: which map of the same classifier becomes the masks, in training and in prediction.
#
# cam               what the config of CAM says.
# gradcam_plus_plus Grad-CAM++ (WACV 2018) of what the head reads. Each class map is scaled by itself, as the library
#                   grad-cam does; pseudo_masks.rule.normalisation=joint (and classifier.model.mask_rule.normalisation,
#                   of the raw masks on test) is one scale for a tile. epsilon=0 of the maps is the paper's equation.
maps_choices = {
    'cam': {},
    'gradcam_plus_plus': {
        'title': 'Grad-CAM++',
        'pseudo_masks.maps.type': 'arml.GradCAMPlusPlusMaps',
        'pseudo_masks.rule.normalisation': 'per_class',
        'classifier.model.maps.type': 'arml.GradCAMPlusPlusMaps',
        'classifier.model.mask_rule.normalisation': 'per_class',
    },
}
maps = 'cam'
