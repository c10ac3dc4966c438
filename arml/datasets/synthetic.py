"""Synthetic tissue: procedurally drawn tiles in the BCSS-WSSS layout."""

from arml.datasets.bcss import BCSSDataset
from arml.datasets.tissue import TissueDataset
from arml.registry import DATASETS


@DATASETS.register_module()
class SyntheticTissueDataset(TissueDataset):
    """Drawn H&E-like tiles; layout, classes and palette are those of BCSS-WSSS."""

    METAINFO = {
        **BCSSDataset.METAINFO,
        'dataset_name': 'synthetic',
        'mpp': 0.7,
        'mpp_note': 'drawn; by the size of the nuclei',
    }
    CONVERTER = 'tools/dataset_converters/synthetic.py'
