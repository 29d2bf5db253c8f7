"""Figures about Linewright, each beside its peer; run them, they are no tests."""
