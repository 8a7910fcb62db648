"""One process tree with all that b2jobs needs, for development: Redis, a local B2, a worker."""
