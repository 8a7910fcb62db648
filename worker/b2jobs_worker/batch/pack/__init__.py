"""Running items: a pack, one try of one item, and what outdated owners left."""
