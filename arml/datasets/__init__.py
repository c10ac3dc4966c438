"""Data sets, their checks and conversion."""

from arml.datasets import transforms
from arml.datasets.bcss import BCSSDataset
from arml.datasets.ebhi import EBHIDataset
from arml.datasets.luad_histoseg import LUADHistoSegDataset
from arml.datasets.synthetic import SyntheticTissueDataset
from arml.datasets.tissue import TissueDataset

__all__ = [
    'BCSSDataset',
    'EBHIDataset',
    'LUADHistoSegDataset',
    'SyntheticTissueDataset',
    'TissueDataset',
    'transforms',
]
