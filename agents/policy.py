"""Which graph may call which tool, and how often. What is not allowed by name is refused."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from components.core.errors import RefusedError

_T = TypeVar("_T")


class ToolGuard:
    """Stands between a graph and its tools, and counts.

    Args:
        graph: Name of the graph, for messages.
        limits: Tool → calls allowed; tools that are not named are refused.
        used: Tool → calls made before, when a run is resumed.
    """

    def __init__(self, graph: str, *, limits: Mapping[str, int], used: Mapping[str, int] | None = None) -> None:
        self._graph, self._limits = graph, dict(limits)
        self.used: dict[str, int] = dict(used or {})

    def call(self, tool: str, function: Callable[[], _T]) -> _T:
        """The result of `function`, the tool's work.

        Raises:
            RefusedError: The graph may not use the tool, or not once more; nothing was called.
        """
        allowed, used = self._limits.get(tool, 0), self.used.get(tool, 0)
        if used >= allowed:
            raise RefusedError(
                f"The {self._graph} graph may call {tool} {allowed} times and has called it {used} times.",
                hint="Raise its limit in agents.yaml if that is wanted.",
            )
        self.used[tool] = used + 1
        return function()
