"""Sync: two sorted listings compared as streams; what comes out feeds a batch's plan.

entries.py    one file of one side
compare.py    whether two files differ
rules.py      what a sync was asked to do, as values
decide.py     what happens to one name
plan.py       two streams in, actions out
digests.py    SHA-1 of local files, remembered
"""
