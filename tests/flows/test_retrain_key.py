"""The key of a retrain changes with the code that decides what it produces."""

import ast
from pathlib import Path

from flows.jobs.plan import CODE, MODULES, ROOT

EXEMPT = {
    "components/adapters/db/holder.py": "names the process that works on a trial",
    "flows/jobs/kept_scores.py": "keeps scores and gives them back as they are",
    "flows/jobs/models.py": "loads the champion, which was registered under a key of its own",
    "flows/jobs/retrain.py": "keeps results and gives them back as they are",
    "flows/progress.py": "tells how far the work is",
    "flows/wiring.py": "opens what is asked for data, whose manifest is part of the key",
}
"""Imported by what decides a result, and why it decides none itself."""


def imported(path: Path) -> set[str]:
    """Modules of the project that the module at `path` imports by their full names; relative ones lie within `CODE`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    paths = {f"{name.replace('.', '/')}.py" for name in names}
    return {name for name in paths if (ROOT / name).is_file()}


def test_every_module_that_decides_a_result_is_in_the_key_or_exempt_for_a_reason():
    keyed = [*(ROOT / name for name in MODULES), *(path for name in CODE for path in (ROOT / name).rglob("*.py"))]
    folders = tuple(f"{name}/" for name in CODE)
    others = {name for path in keyed for name in imported(path)} - set(MODULES)
    assert {name for name in others if not name.startswith(folders)} == set(EXEMPT)
