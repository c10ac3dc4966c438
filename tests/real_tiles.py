"""Where the real EBHI tiles lie, for tests that run on machines that have them."""

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[2] / 'shared' / 'data' / 'ebhi-tissue'
ROOT = Path(os.environ.get('ARML_REAL_DATA') or BESIDE)
needs_real_tiles = pytest.mark.skipif(
    not (ROOT / 'train').is_dir(),
    reason=f'the EBHI tiles are not here ({ROOT}); set ARML_REAL_DATA, see docs/data.md',
)
