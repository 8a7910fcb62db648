"""One step of a batch: plan, mend, run again, end."""
