"""The released configuration at CPU size: the leaves of the full one, but for what cannot show there."""

import pytest
from conftest import ROOT
from test_released import MISSING, NAMES, difference, leaves

from arml.config import load_config

#: Set by the full configuration alone: AdamW is blind to the one, others are of SGD, ResNeSt, or of voting off, and of the
#: 257 tiles of EBHI a kept last batch would hold one.
FULL_ALONE = {
    'classifier.optim_wrapper.optimizer.momentum',
    'classifier.optim_wrapper.paramwise_cfg.lr_mult.neck',
    'model.swv.extra_batch_division',
    'model.network.backbone.encoder_depth',
    'train_dataloader.drop_last',
}
#: The same cut of the encoder, as the tiny configs spell it.
TINY_ALONE = {'model.network.backbone.out_indices'}


@pytest.mark.parametrize('data', ['ebhi', 'synthetic'])
def test_released_tiny__flips_what_the_full_one_flips(data):
    paper, released = (
        leaves(load_config(ROOT / 'configs' / f'{name}_tiny_{data}.py').to_dict())
        for name in ('arml', 'arml_released')
    )
    found = {
        leaf: released.get(leaf, MISSING)
        for leaf in {*paper, *released} - NAMES
        if paper.get(leaf, MISSING) != released.get(leaf, MISSING)
    }
    full = difference('bcss')
    assert set(found) - TINY_ALONE == set(full) - FULL_ALONE
    assert {k: v for k, v in found.items() if k in full} == {
        k: v[1] for k, v in full.items() if k in found
    }
    assert released['pipeline'][-1]['row'] == 'ARML (released)'
