"""Items, their outcomes, and the line they stand in."""
