"""Requests: what may be asked, and how it looks as JSON. What comes back is in `results`."""

from b2jobs.requests.accounts import Bucket, Check
from b2jobs.requests.batches import Batch, Pack, ReadLedger, Verify
from b2jobs.requests.files import Delete, Hide, Hold, Remove, Retention, Share, Unhide
from b2jobs.requests.info import check_info
from b2jobs.requests.job import DEFAULT_RETRY_SECONDS, ENDED, IfExists, Job, Priority, State
from b2jobs.requests.kinds import KINDS, PUBLIC_KINDS, RESULTS, build
from b2jobs.requests.listings import DiskUsage, List
from b2jobs.requests.syncs import Sync
from b2jobs.requests.transfers import Copy, Download, Move, Upload, last_name

__all__ = [
    "Batch",
    "Bucket",
    "Check",
    "Copy",
    "DEFAULT_RETRY_SECONDS",
    "Delete",
    "DiskUsage",
    "Download",
    "ENDED",
    "Hide",
    "Hold",
    "IfExists",
    "Job",
    "KINDS",
    "List",
    "Move",
    "PUBLIC_KINDS",
    "Pack",
    "Priority",
    "RESULTS",
    "ReadLedger",
    "Remove",
    "Retention",
    "Share",
    "State",
    "Sync",
    "Unhide",
    "Upload",
    "Verify",
    "build",
    "check_info",
    "last_name",
]
