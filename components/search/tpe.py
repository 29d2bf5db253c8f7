"""Proposals by the tree-structured Parzen estimator (Bergstra et al. 2011; Optuna's multivariate form).

A sampler is made anew for every proposal, seeded by the trial's number: what it draws depends on the seed and the
completed trials alone, never on how often the search was interrupted.
"""

from collections.abc import Iterator
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler

from components.core.seeds import derive_seed
from components.search.space import Categorical, IntRange, Parameter, SearchSpace, Value

STARTUP = 4
"""Completed trials before the estimator takes over from random draws; Optuna's 10 would outlast a budget of 8."""

_TPE_DRAWS, _RANDOM_DRAWS = 16, 200


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """The free parameters of `space` in Optuna's words."""
    return {name: _distribution(parameter) for name, parameter in space.parameters.items()}


def draws(study: optuna.Study, space: SearchSpace, *, seed: int, number: int) -> Iterator[dict[str, Value]]:
    """Proposals for trial `number`: the estimator's first, then random ones for spaces that are almost used up."""
    for draw in range(_TPE_DRAWS + _RANDOM_DRAWS):
        startup = STARTUP if draw < _TPE_DRAWS else 10**9
        sampler = TPESampler(
            seed=derive_seed(seed, "tpe", number, draw),
            n_startup_trials=startup,
            multivariate=True,
            constant_liar=False,
        )
        yield space.validate_params(_sample(sampler, study, distributions(space)))


def _sample(sampler: TPESampler, study: optuna.Study, space: dict[str, BaseDistribution]) -> dict[str, Any]:
    """One configuration; nothing is written to the study."""
    probe = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
    relative = sampler.infer_relative_search_space(study, probe)
    params = sampler.sample_relative(study, probe, relative)
    return {
        name: params[name] if name in params else sampler.sample_independent(study, probe, name, distribution)
        for name, distribution in space.items()
    }


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Categorical):
        return CategoricalDistribution(parameter.choices)
    if isinstance(parameter, IntRange):
        return IntDistribution(parameter.low, parameter.high, log=parameter.log)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
