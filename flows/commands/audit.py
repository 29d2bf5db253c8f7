"""`linewright lineage`: from a verdict back to the source file, and forth."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.tree import Tree

from flows.commands.common import Json, LineName, console, open_workspace, print_json

if TYPE_CHECKING:
    from components.audit.graph import LineageGraph, LineageNode

SHOWN = 8
"""Longest mapping or list that the tree prints entry by entry."""

ALIKE = 3
"""Nodes of one kind below one node that the tree shows; `--json` prints all."""

_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b")
_SIGNATURE = re.compile(r":([A-Za-z0-9+/]{8})[A-Za-z0-9+/]{56,}={0,2}$")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(lineage)


def lineage(
    name: LineName,
    subject: Annotated[
        str, typer.Argument(metavar="[VERSION|VERDICT]", help="Or data/N, or a digest; empty: champion.")
    ] = "",
    json: Json = False,
) -> None:
    """Follow a verdict to its model, trial, data and source file, and back."""
    from flows.jobs.lineage import trace

    app = open_workspace()
    app.line(name)
    graph = trace(app, name, subject)
    if json:
        print_json(graph.model_dump(mode="json"))
        return
    console.print(_tree(graph))


def _tree(graph: "LineageGraph") -> Tree:
    nodes = {node.id: node for node in graph.nodes}
    children: dict[str, list[tuple[str, str]]] = {}
    for edge in graph.edges:
        children.setdefault(edge.source, []).append((edge.relation, edge.target))
    root = Tree(_text(nodes[graph.root]))

    def grow(branch: Tree, identity: str) -> None:
        seen: Counter[tuple[str, str]] = Counter()
        for relation, child in children.get(identity, []):
            alike = relation, nodes[child].kind
            seen[alike] += 1
            if seen[alike] <= ALIKE:
                grow(branch.add(f"[dim]{escape(relation)}[/] {_text(nodes[child])}"), child)
        for (relation, kind), count in seen.items():
            if count > ALIKE:
                branch.add(
                    f"[dim]{escape(relation)} {count - ALIKE} more of kind {escape(kind)}, which --json prints[/]"
                )

    grow(root, graph.root)
    return root


def _text(node: "LineageNode") -> str:
    facts = ", ".join(f"{key} {_short(value)}" for key, value in node.facts.items() if value not in ("", None))
    return f"[bold]{escape(node.kind)}[/] {escape(_short(node.name))}  [dim]{escape(facts)}[/]"


def _short(value: Any) -> str:
    """`value` for people: how much a long mapping or list holds, the beginning of a digest; `--json` prints all."""
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str) and len(value) > SHOWN:
        return f"({len(value)} entries)"
    return _SIGNATURE.sub(r":\1…", _DIGEST.sub(r"\1…", f"{value:.4g}" if isinstance(value, float) else str(value)))
