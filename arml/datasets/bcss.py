"""BCSS-WSSS: breast cancer tiles with image-level labels."""

from arml.datasets.tissue import TissueDataset
from arml.registry import DATASETS


@DATASETS.register_module()
class BCSSDataset(TissueDataset):
    """BCSS-WSSS (Han et al., Medical Image Analysis 2022), drawn from BCSS (Amgad et al., 2019).

    Labels ``[abcd]`` stand for TUM, STR, LYM, NEC; mask value 4 is white background or excluded.
    """

    METAINFO = {
        'dataset_name': 'BCSS-WSSS',
        'classes': ('TUM', 'STR', 'LYM', 'NEC'),
        'palette': [[255, 0, 0], [0, 255, 0], [0, 0, 255], [153, 0, 255]],
        'background_index': 4,
        'background_color': [255, 255, 255],
        'mpp': 0.25,
        'mpp_note': 'the pixel size of the BCSS image, as the tile names state it (MPP-0.2500)',
        'white_area': False,
        'presence_share': 0.0,
    }
    PUBLISHED_COUNTS = {'train': 23422, 'val': 3418, 'test': 4986}
    CASE_PATTERN = r'^(TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})'
    CONVERTER = 'tools/dataset_converters/bcss.py'
