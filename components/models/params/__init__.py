"""Parameters of every detector, with bounds and defaults; importing these loads no framework."""
