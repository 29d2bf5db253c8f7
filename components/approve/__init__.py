"""The gate that judges candidates, and the people who decide on them."""
