"""Files of a source become validated samples; what cannot be one is refused with a reason and never stops the run."""
