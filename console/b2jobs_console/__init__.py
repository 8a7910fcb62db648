"""The console: what b2jobs does, for people (pages) and machines (metrics, health).

It knows `b2jobs` alone: it needs a Redis, and no worker, no credential and no engine.
"""
