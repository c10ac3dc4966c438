"""What is checked before a training, on the real EBHI tiles: with drawn ones of a test another number fits a batch."""

import pytest
from real_tiles import ROOT, needs_real_tiles
from shipped import CONFIGS, names

from arml.config import load_config
from arml.pipeline.run import build_stages, make_plan
from arml.pipeline.store import Store

FILES = [file for file in CONFIGS if file.stem.endswith('_tiny_ebhi')]
pytestmark = needs_real_tiles


@pytest.mark.parametrize('file', FILES, ids=names(FILES))
def test_real__every_stage_may_begin(file, tmp_path):
    config = load_config(file, {'data_root': str(ROOT), 'store': str(tmp_path)}, for_run=True)
    plan = make_plan(build_stages(config), Store(config.store))
    assert plan
    for item in plan:
        item.stage.check(continued=False)
