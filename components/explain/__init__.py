"""Why a sample has its score: heat maps over images, Shapley values for tables, as pictures and as data."""
