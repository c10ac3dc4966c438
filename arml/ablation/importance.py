"""How much each parameter of a search matters, by Optuna."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from arml.ablation.search import contains, is_constant, optuna_distribution
from arml.ablation.space import Distribution

METHOD = 'PED-ANOVA'
#: Trials below which there is nothing to compute.
FEWEST = 4


def importances(
    space: Mapping[str, Distribution],
    trials: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    goal: str,
) -> tuple[dict[str, float] | None, str]:
    """The share of each parameter in what tells good trials from the rest.

    Args:
        space: What is searched; constants do not count.
        trials: Values of each finished trial. Those outside the space, of an older version of the sweep file,
            do not count.
        values: Score of each.
        goal: ``'maximize'`` or ``'minimize'``.

    Returns:
        Share by name, which add up to one, and the method; or None and why not.
    """
    distributions = {
        name: optuna_distribution(found) for name, found in space.items() if not is_constant(found)
    }
    kept = [
        optuna.trial.create_trial(
            params={name: trial[name] for name in distributions},
            distributions=distributions,
            value=value,
        )
        for trial, value in zip(trials, values, strict=True)
        if all(n in trial and contains(found, trial[n]) for n, found in distributions.items())
    ]
    if len(kept) < FEWEST or len(distributions) < 2:
        return None, (
            f'{len(kept)} finished trials within the space of {len(distributions)} parameters; expected at '
            f'least {FEWEST} and 2'
        )
    if len({trial.value for trial in kept}) == 1:
        return None, 'all trials have the same score'
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage(), direction=goal)
    study.add_trials(kept)
    return optuna.importance.get_param_importances(study), METHOD
