"""Proposals by the tree-structured Parzen estimator (Bergstra et al. 2011; Optuna's multivariate form).

A sampler is made anew for every proposal, seeded by the trial's number: what it draws depends on the seed and the
completed trials alone, never on how often the search was interrupted.
"""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler

from components.core.seeds import derive_seed
from components.search.portfolio import Space
from components.search.space import Categorical, IntRange, Parameter, Value

STARTUP = 4
"""Completed trials before the estimator takes over from random draws; Optuna's 10 would outlast a budget of 8."""

_TPE_DRAWS, _RANDOM_DRAWS = 16, 200


def to_study(params: Mapping[str, Any], *, space: Space) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """The configuration `params` as Optuna stores it: values and their distributions."""
    parts = space.choices(space.detector_of(params))
    return space.to_study(params), {name: _distribution(part) for name, part in parts.items()}


def draws(study: optuna.Study, space: Space, *, seed: int, number: int) -> Iterator[dict[str, Value]]:
    """Proposals for trial `number`: the estimator's first, then random ones for spaces that are almost used up."""
    for draw in range(_TPE_DRAWS + _RANDOM_DRAWS):
        startup = STARTUP if draw < _TPE_DRAWS else 10**9
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            sampler = TPESampler(
                seed=derive_seed(seed, "tpe", number, draw),
                n_startup_trials=startup,
                multivariate=True,
                # Detectors have parameters of their own: the estimator learns of each from the trials that have them.
                group=len(space.detectors) > 1,
                constant_liar=False,
            )
        yield space.validate_params(_sample(sampler, study, space))


def _sample(sampler: TPESampler, study: optuna.Study, space: Space) -> dict[str, Any]:
    """One configuration; nothing is written to the study."""
    probe = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
    relative = sampler.infer_relative_search_space(study, probe)
    params = sampler.sample_relative(study, probe, relative)

    def draw(parts: Mapping[str, Parameter]) -> dict[str, Any]:
        for name, part in parts.items():
            if name not in params:
                params[name] = sampler.sample_independent(study, probe, name, _distribution(part))
        return {name: params[name] for name in parts}

    detector = space.detector_of(draw(space.choices()))
    return space.of_study(draw(space.choices(detector)))


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Categorical):
        return CategoricalDistribution(parameter.choices)
    if isinstance(parameter, IntRange):
        return IntDistribution(parameter.low, parameter.high, log=parameter.log)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
