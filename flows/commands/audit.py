"""`linewright lineage`: from a verdict back to the source file, and forth."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.tree import Tree

from flows.commands.common import Json, LineName, console, open_workspace, print_json


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(lineage)


def lineage(
    name: LineName,
    subject: Annotated[str, typer.Argument(metavar="[VERSION|VERDICT]", help="Empty: the champion.")] = "",
    json: Json = False,
) -> None:
    """Follow a verdict to its model, trial, data and source file, and back."""
    from flows.jobs.lineage import trace

    app = open_workspace()
    app.line(name)
    graph = trace(app, name, subject)
    if json:
        print_json(graph)
        return
    console.print(_tree(graph))


def _tree(graph: dict[str, list[dict[str, str]]]) -> Tree:
    nodes = {node["id"]: node for node in graph["nodes"]}
    children: dict[str, list[str]] = {}
    for edge in graph["edges"]:
        children.setdefault(edge["source"], []).append(edge["target"])
    targets = {edge["target"] for edge in graph["edges"]}
    root = Tree("lineage")

    def grow(branch: Tree, identity: str) -> None:
        node = nodes[identity]
        for child in children.get(identity, []):
            grow(branch.add(_text(nodes[child])) if node else branch, child)

    for identity, node in nodes.items():
        if identity not in targets:
            grow(root.add(_text(node)), identity)
    return root


def _text(node: dict[str, str]) -> str:
    facts = ", ".join(f"{key} {value}" for key, value in dict(node.get("facts", {})).items())
    return f"[bold]{escape(node['kind'])}[/] {escape(node['id'])}  [dim]{escape(facts)}[/]"
