"""Generated lines for the demo and the tests."""
