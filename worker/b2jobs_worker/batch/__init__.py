"""Many transfers as one, in five rooms; arrows run down.

    proof    a report checked against B2, and the ledger handed over
    planner  one step of planning, running again, dry run, ending, the ledger's archive
    pack     running items: a pack, one try of one item, strays, threads
    plan     where items come from: manifest, prefix, feed; how they are packed; their places
    ledger   items, outcomes, their one line, the batch's side of Redis

A batch is a job whose work is the *planner*: it reads a `plan.source.PlanSource` from a
persisted cursor, groups what it gives into packs, and keeps a bounded number of them queued.
A pack is a job too, so whatever delivery/ promises holds for it. The ledger has the outcome of
every item. `b2jobs.batch` and `b2jobs.sync` differ in their plan source only.
"""
