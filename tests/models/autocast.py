"""What every relation owes a training in mixed precision."""

import torch


def assert_same_under_autocast(relation, student, teacher, cast):
    """Value and gradient under autocast are those of float32, to the bit."""
    outside = student.clone().requires_grad_()
    expected = relation(outside.float(), teacher.float())
    expected.backward()
    inside = student.clone().requires_grad_()
    with torch.autocast('cpu', dtype=cast):
        found = relation(inside, teacher)
        found.backward()
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert torch.equal(inside.grad, outside.grad)
