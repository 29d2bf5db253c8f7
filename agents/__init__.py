"""LangGraph graphs that propose; verifiers, gates and people decide."""
