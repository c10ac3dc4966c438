"""Importances of a search: the parameter that matters has the larger share."""

import numpy as np
import pytest

from arml.ablation.importance import importances
from arml.ablation.space import Distribution

SPACE = {
    'omega': Distribution('float', 1.0, 8.0, log=True),
    'lambda_': Distribution('float', 0.0, 1.0),
    'epochs': Distribution('categorical', choices=(6,)),
}


def trials_of(count):
    rng = np.random.default_rng(0)
    return [
        {
            'omega': float(np.exp(rng.uniform(0, 2))),
            'lambda_': float(rng.uniform(0, 1)),
            'epochs': 6,
        }
        for _ in range(count)
    ]


@pytest.mark.parametrize('goal', ['maximize', 'minimize'])
def test_importances__what_matters_has_the_larger_share(goal):
    trials = trials_of(60)
    shares, method = importances(SPACE, trials, [trial['lambda_'] for trial in trials], goal)
    assert method == 'PED-ANOVA'
    assert shares.keys() == {'omega', 'lambda_'}
    assert sum(shares.values()) == pytest.approx(1)
    assert shares['lambda_'] > 0.9


def test_importances__trials_of_an_older_space_do_not_count():
    old = [{**trial, 'omega': 20.0} for trial in trials_of(10)] + [{'lambda_': 0.5}] * 10
    shares, why = importances(SPACE, [*old, *trials_of(3)], list(range(23)), 'maximize')
    assert shares is None
    assert '3 finished trials within the space of 2 parameters' in why


def test_importances__nothing_to_tell_apart():
    shares, why = importances(SPACE, trials_of(10), [50.0] * 10, 'maximize')
    assert (shares, why) == (None, 'all trials have the same score')
    one = {'lambda_': SPACE['lambda_']}
    assert importances(one, trials_of(10), list(range(10)), 'maximize')[0] is None
