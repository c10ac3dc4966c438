"""LUAD-HistoSeg: lung adenocarcinoma tiles with image-level labels."""

from arml.datasets.tissue import TissueDataset
from arml.registry import DATASETS


@DATASETS.register_module()
class LUADHistoSegDataset(TissueDataset):
    """LUAD-HistoSeg (Han et al., Medical Image Analysis 2022).

    Labels ``[a b c d]`` stand for TE, NEC, LYM, TAS: index 1 is necrosis here and stroma in
    BCSS-WSSS. Mask value 4 is white background, which the white rule may predict.
    """

    METAINFO = {
        'dataset_name': 'LUAD-HistoSeg',
        'classes': ('TE', 'NEC', 'LYM', 'TAS'),
        'palette': [[205, 51, 51], [0, 255, 0], [65, 105, 225], [255, 165, 0]],
        'background_index': 4,
        'background_color': [255, 255, 255],
        'mpp': 1.0,
        'mpp_note': 'nominal for the published magnification of 10x; no pixel size is published',
        'white_area': True,
        'presence_share': 0.0,
    }
    PUBLISHED_COUNTS = {'train': 16678, 'val': 300, 'test': 307}
    CASE_PATTERN = r'^(\d+)-\d+-\d+'
    CONVERTER = 'tools/dataset_converters/luad.py'
