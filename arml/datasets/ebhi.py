"""EBHI: four tissue classes of EBHI-Seg, colorectal biopsies."""

from arml.datasets.tissue import TissueDataset
from arml.registry import DATASETS


@DATASETS.register_module()
class EBHIDataset(TissueDataset):
    """The 371 tiles made from EBHI-Seg (Shi et al., Frontiers in Medicine 2023).

    ADC adenocarcinoma, STR stroma, BEN benign gland, IEN gland with intraepithelial neoplasia.
    Mask value 4 is empty slide and **ignored**, never a background to be predicted.
    """

    METAINFO = {
        'dataset_name': 'EBHI',
        'classes': ('ADC', 'STR', 'BEN', 'IEN'),
        'palette': [[205, 51, 51], [0, 255, 0], [65, 105, 225], [255, 165, 0]],
        'background_index': None,
        'background_color': [255, 255, 255],
        'mpp': 1.3,
        'mpp_note': 'an estimate by crypt size; no pixel size is published, and the enlarged '
        'windows of the training split are 2 to 3.5 times finer',
        'white_area': False,
        'presence_share': 0.02,
    }
    PUBLISHED_COUNTS = {'train': 257, 'val': 42, 'test': 72}
    CASE_PATTERN = r'^[A-Za-z]*(\d{7})'
    CONVERTER = 'tools/dataset_converters/ebhi.py'
