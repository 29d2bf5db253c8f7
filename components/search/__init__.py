"""Search: which parameters a detector could have, which were tried, and which is better beyond doubt."""
