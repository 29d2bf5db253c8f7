"""The commands of `linewright`, one module a group; each loads what it needs when it runs."""
