"""What a checkpoint says about itself, so that it can be used without the data set behind it."""

from typing import Any

from arml.models.normalisation import EPSILON


def model_card(model: dict[str, Any], metainfo: dict[str, Any], section: dict[str, Any]) -> dict:
    """Classes, palette, background, normalisation, input size and microns per pixel of a model.

    Args:
        model: The config of the model.
        metainfo: That of its data set.
        section: The section of the config it is trained in; its ``input_size`` and ``tile_size``
            (pixels, (height, width)) say how a tile is resized before it enters the network.

    Returns:
        Plain values only.
    """
    preprocessor = model.get('data_preprocessor') or {}
    return {
        'dataset': metainfo.get('dataset_name'),
        'classes': list(metainfo['classes']),
        'palette': [list(color) for color in metainfo['palette']],
        'background_index': metainfo.get('background_index'),
        'background_color': list(metainfo.get('background_color') or ()) or None,
        'mpp': metainfo.get('mpp'),
        'input_size': list(section.get('input_size') or ()) or None,
        'tile_size': list(section.get('tile_size') or ()) or None,
        'normalise': preprocessor.get('normalise', 'dataset'),
        'epsilon': float(preprocessor.get('epsilon', EPSILON)),
        'mean': list(preprocessor.get('mean') or ()) or None,
        'std': list(preprocessor.get('std') or ()) or None,
        'bgr_to_rgb': bool(preprocessor.get('bgr_to_rgb', False)),
    }
