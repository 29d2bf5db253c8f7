"""What happened, put together for people who have to prove it."""
