"""No loss waits for the device: no value is read back, no shape depends on values."""

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException as ReadBack
from torch._subclasses.fake_tensor import FakeTensorMode

from arml.models.losses import SRMLoss, SWVLoss
from arml.models.losses.functional import hard_vote

RELATIONS = [
    dict(),
    dict(samples='region', per_tile=10),
    dict(samples='image'),
    dict(samples='image', teacher_gradient=True),
    dict(direction='to_peers'),
    dict(relation='point'),
    dict(relation='point', point_form='released_pixel'),
    dict(relation='point', point_form='released_batch'),
    dict(relation='kl'),
    dict(relation='kl', axis='pixel'),
    dict(relation='crl_joint'),
    dict(relation='crl_correlation'),
]
VOTES = [
    dict(),
    dict(omega='drop'),
    dict(omega=3, normalise=True),
    dict(enabled=False, extra_batch_division=True),
]


def names(options):
    return '-'.join(map(str, options.values())) or 'default'


def relate(options, mains, device):
    logits = [torch.randn(3, 4, 16, 16, device=device, requires_grad=True) for _ in range(3)]
    sum(SRMLoss(**options)(logits, mains)).backward()
    return logits


def vote(options, device):
    logits = torch.randn(3, 4, 16, 16, device=device, requires_grad=True)
    target = torch.randint(0, 4, (3, 16, 16), device=device)
    votes = [hard_vote(torch.randn(3, 4, 16, 16, device=device)) for _ in range(2)]
    SWVLoss(**options)(logits, target, *votes).backward()
    return logits


def test_fake_tensors__notice_a_value_that_is_read():
    with FakeTensorMode(), pytest.raises(ReadBack):
        torch.ones(3).sum().item()


@pytest.mark.parametrize('precision', ['highest', 'high'])  # 'high': float64, as on a GPU
@pytest.mark.parametrize('mains', [None, [0]])
@pytest.mark.parametrize('options', RELATIONS, ids=names)
def test_srm_loss__reads_no_value(options, mains, precision):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        with FakeTensorMode():
            assert relate(options, mains, 'cpu')[1].shape == (3, 4, 16, 16)
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize('options', VOTES, ids=names)
def test_swv_loss__reads_no_value(options):
    with FakeTensorMode():
        assert vote(options, 'cpu').grad.shape == (3, 4, 16, 16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('options', RELATIONS, ids=names)
def test_srm_loss__gpu_equals_the_cpu_without_a_sync(options):
    relate(options, None, 'cuda')
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        logits = relate(options, None, 'cuda')
    finally:
        torch.cuda.set_sync_debug_mode('default')
    if options.get('samples', 'pixel') == 'pixel' and options.get('relation') is None:
        return  # the draw of pixels is the device's own
    own = [x.detach().cpu().requires_grad_() for x in logits]
    sum(SRMLoss(**options)(own)).backward()
    for one, other in zip(logits, own, strict=True):
        torch.testing.assert_close(one.grad.cpu(), other.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('options', VOTES, ids=names)
def test_swv_loss__gpu_needs_no_sync(options):
    vote(options, 'cuda')
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        vote(options, 'cuda')
    finally:
        torch.cuda.set_sync_debug_mode('default')
