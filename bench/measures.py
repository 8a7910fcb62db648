"""What the benches share: CPU and memory of a process, and how other tools find the local B2."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

BUCKET = "bench-bucket"


def cpu_seconds(pid: int) -> float:
    """Of a process, and of the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid: int, what: str = "VmRSS") -> int:
    """Resident memory of a process now, or with `VmHWM` at its most."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) * 1024


def environment(ready: dict[str, Any], folder: Path) -> dict[str, str]:
    """For b2, rclone and the plain Celery tasks: the local B2 that announced *ready*.

    Over TLS each of them, and our own programs, trust its certificate.
    """
    certificate = ready.get("ca_certificate")
    trusting = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "RCLONE_CA_CERT", "B2JOBS_CA_FILE")
    return {
        **os.environ,
        **({name: str(certificate) for name in trusting} if certificate else {}),
        "B2_ENVIRONMENT": ready["realm"],
        "B2_ACCOUNT_INFO": str(folder / "b2_account_info"),
        "B2_APPLICATION_KEY_ID": ready["key_id"],
        "B2_APPLICATION_KEY": ready["application_key"],
        "RCLONE_CONFIG": str(folder / "rclone.conf"),
        "RCLONE_CONFIG_LOCAL2_TYPE": "b2",
        "RCLONE_CONFIG_LOCAL2_ACCOUNT": ready["key_id"],
        "RCLONE_CONFIG_LOCAL2_KEY": ready["application_key"],
        "RCLONE_CONFIG_LOCAL2_ENDPOINT": ready["realm"],
    }
