"""Short names of the data sets, as the command line takes them."""

from arml.datasets.bcss import BCSSDataset
from arml.datasets.ebhi import EBHIDataset
from arml.datasets.luad_histoseg import LUADHistoSegDataset
from arml.datasets.synthetic import SyntheticTissueDataset
from arml.datasets.tissue import TissueDataset

DATASET_CLASSES: dict[str, type[TissueDataset]] = {
    'bcss': BCSSDataset,
    'luad': LUADHistoSegDataset,
    'ebhi': EBHIDataset,
    'synthetic': SyntheticTissueDataset,
}
