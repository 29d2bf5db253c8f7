"""A search to be killed, each in a process that is forked from one which has loaded all it needs."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from agents.checkpoints import open_saver
from agents.graphs.builder import BuilderTask, run_builder
from agents.graphs.limits import BuilderLimits
from agents.knowledge.heuristics import DataFacts
from agents.proposers import KnowledgeProposer
from components.adapters.db.holder import is_gone, this_process
from components.core.contracts import Modality
from components.search.lease import Owner
from components.search.space import Parameter, SearchSpace
from components.search.study import Study


def search(url: str, calls: Path, pause: float, target: Path) -> None:
    """Search the database at `url`, telling `calls` of each evaluation; the outcome goes to `target` as JSON."""
    labels = np.repeat(np.array([0, 1], dtype=np.int8), 30)
    noise = np.random.default_rng(0).normal(size=60)

    def evaluate(params: dict[str, Any], number: int) -> NDArray[np.float64]:
        with calls.open("a") as stream:
            stream.write(f"begin {number}\n")
        time.sleep(pause)
        with calls.open("a") as stream:
            stream.write(f"end {number}\n")
        separated: NDArray[np.float64] = noise + labels * (0.5 + params["rate"])
        return separated

    space = SearchSpace(
        detector="toy",
        parameters=TypeAdapter(dict[str, Parameter]).validate_python(
            {"rate": {"type": "float", "low": 0.001, "high": 1.0, "log": True, "default": 0.01}}
        ),
    )
    facts = DataFacts(modality=Modality.TABLE, train_samples=100, validation_samples=60, synthetic=False)
    owner = Owner(holder=this_process(), is_gone=is_gone)
    with Study.open(url, name="s", space=space, seed=3, owner=owner) as study, open_saver(url) as saver:
        outcome = run_builder(
            BuilderTask(facts=facts, labels=labels),
            study=study,
            evaluate=evaluate,
            proposer=KnowledgeProposer(()),
            saver=saver,
            limits=BuilderLimits(trials=7, seconds=600, money=0, patience=99, tools={"evaluate": 7}),
            on_trial=lambda _: None,
        )
    found = outcome.model_dump(mode="json", exclude={"proposals": True})
    for trial in (found["best"], *found["trials"]):
        del trial["seconds"]
    target.write_text(json.dumps(found))
