"""What is checked before a training, on the real EBHI tiles: with drawn ones of a test another number fits a batch."""

import os
from pathlib import Path

import pytest
from shipped import CONFIGS, names

from arml.config import load_config
from arml.pipeline.run import build_stages, make_plan
from arml.pipeline.store import Store

BESIDE = Path(__file__).parents[3] / 'shared' / 'data' / 'ebhi-tissue'
ROOT = Path(os.environ.get('ARML_REAL_DATA') or BESIDE)
FILES = [file for file in CONFIGS if file.stem.endswith('_tiny_ebhi')]
pytestmark = pytest.mark.skipif(
    not (ROOT / 'train').is_dir(),
    reason=f'the EBHI tiles are not here ({ROOT}); set ARML_REAL_DATA, see docs/data.md',
)


@pytest.mark.parametrize('file', FILES, ids=names(FILES))
def test_real__every_stage_may_begin(file, tmp_path):
    config = load_config(file, {'data_root': str(ROOT), 'store': str(tmp_path)}, for_run=True)
    plan = make_plan(build_stages(config), Store(config.store))
    assert plan
    for item in plan:
        item.stage.check(continued=False)
