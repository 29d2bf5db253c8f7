"""New samples join a line's manifest: leak-safe splits, near-duplicates, purged borders between time blocks."""
