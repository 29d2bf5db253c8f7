"""Generated lines for the demo and tests, and behaviour suites for ports."""
