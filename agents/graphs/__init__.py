"""LangGraph graphs: they propose; verifiers, gates and people decide."""
