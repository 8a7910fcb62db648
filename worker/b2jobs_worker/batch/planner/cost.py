"""What a batch may cost: looked at by its dry run before it begins, and by its meter then.

The meter is read where outcomes are written (`shared/batch.lua`, `add_cost`).
"""

from __future__ import annotations

from b2jobs.batch_status import MAX_COST_REACHED, over_cost
from b2jobs.errors import Failure
from b2jobs_worker.b2.prices import Prices
from b2jobs_worker.batch.plan.source import MakePlan
from b2jobs_worker.batch.planner.desk import Desk
from b2jobs_worker.batch.planner.dry_run import dry_run
from b2jobs_worker.settings import current


def estimated_over(desk: Desk, make_plan: MakePlan, state: dict[str, str]) -> Failure | None:
    """Pause a batch whose dry run says that it costs more than it may; why, if so.

    A plan that is still being fed has no dry run beforehand: the meter alone counts.
    """
    asked = getattr(desk.request, "max_cost", None)
    if asked is None:
        return None
    if "max_cost" not in state:
        desk.note(max_cost=f"{asked:.9g}")
        state["max_cost"] = f"{asked:.9g}"
    if "estimate" not in state and not getattr(desk.request, "stream", False):
        looking = desk.request.model_copy(update={"dry_run": True})
        plan = make_plan(looking, desk.attempt)
        forecast = plan.forecast()
        found = dry_run(desk, plan, forecast, state)
        listed = {"c": forecast.listing_calls}  # of a sync, whose dry runs do not count themselves
        prices = Prices(**current().prices)
        desk.store.add_cost(desk.attempt, listed, prices.dollars(listed))
        desk.note(estimate=f"{found.dollars:.9g}")
        state["estimate"] = f"{found.dollars:.9g}"
    if float(state.get("estimate") or 0) <= float(state["max_cost"]):
        return None
    desk.store.pause(desk.attempt, MAX_COST_REACHED)
    return over(desk, {**state, "over": MAX_COST_REACHED})


def over(desk: Desk, state: dict[str, str]) -> Failure | None:
    """Why a batch is paused, if that is because of its cost."""
    if not state.get("over"):
        return None
    used, estimate, most = (
        float(state.get(name) or 0) for name in ("dollars", "estimate", "max_cost")
    )
    return over_cost(desk.batch, used, estimate, most)
