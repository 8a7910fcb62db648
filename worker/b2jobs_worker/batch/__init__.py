"""Many transfers as one: plan, packs, ledger.

A batch is a job whose work is the *planner*: it reads a `plan.PlanSource` from a persisted
cursor, groups what it gives into packs, and keeps a bounded number of them queued. A pack is
a job too, so whatever delivery/ promises holds for it. The ledger has the outcome of every
item. `b2jobs.batch` and `b2jobs.sync` differ in their plan source only.
"""
