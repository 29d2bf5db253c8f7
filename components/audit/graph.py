"""A small graph that prints as a tree and dumps as JSON."""

from typing import Any

from components.core.contracts import Record


class LineageNode(Record):
    """One thing. `id` is unique in the graph, `name` is for people, `facts` are plain JSON."""

    id: str
    kind: str
    name: str
    facts: dict[str, Any]


class LineageEdge(Record):
    """`source` leads to `target`; `relation` reads between the two: source, relation, target."""

    source: str
    target: str
    relation: str


class LineageGraph(Record):
    """Nodes and edges; `root` is the node that was asked for, every other can be reached from it."""

    root: str
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]


class GraphBuilder:
    """Collects nodes and edges; a node or edge that is there already is not added again."""

    def __init__(self) -> None:
        self._nodes: dict[str, LineageNode] = {}
        self._edges: dict[tuple[str, str, str], LineageEdge] = {}

    def node(self, kind: str, name: str, *, facts: dict[str, Any], after: str = "", relation: str = "") -> str:
        """Add a node, and an edge to it from the node `after` if that is given; return its id."""
        identity = f"{kind}:{name}"
        self._nodes.setdefault(identity, LineageNode(id=identity, kind=kind, name=name, facts=facts))
        if after:
            edge = LineageEdge(source=after, target=identity, relation=relation)
            self._edges.setdefault((after, identity, relation), edge)
        return identity

    def build(self) -> LineageGraph:
        """The graph; the first node added is its root."""
        nodes = tuple(self._nodes.values())
        return LineageGraph(root=nodes[0].id, nodes=nodes, edges=tuple(self._edges.values()))
