"""Delivery: claim and lease, retry decision, keeper, cancel and shutdown.

Nobody outside knows about redelivery. The record is the truth; a message only wakes a worker.
"""
