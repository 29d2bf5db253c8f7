"""`linewright lineage`: from a verdict back to the source file, and forth."""

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
        for relation, child in children.get(identity, []):
            grow(branch.add(f"[dim]{escape(relation)}[/] {_text(nodes[child])}"), child)

    grow(root, graph.root)
    return root


def _text(node: "LineageNode") -> str:
    facts = ", ".join(f"{key} {_short(value)}" for key, value in node.facts.items())
    return f"[bold]{escape(node.kind)}[/] {escape(node.name)}  [dim]{escape(facts)}[/]"


def _short(value: Any) -> str:
    """`value` for people; of a long mapping or list only how much it holds, `--json` prints all."""
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str) and len(value) > SHOWN:
        return f"({len(value)} entries)"
    return str(value)
