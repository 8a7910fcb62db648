"""The b2 tool's and b2sdk's own integration suites, run against the local B2.

    make peers SUITES=DIR          DIR holds clones of Backblaze's two repositories
    make peers SUITES=DIR ARGS="-k sync"

The suites are read where they are: a copy of their `test` folders runs with the code
beside them, on what the released b2 and b2sdk need. The result is held against the
list below; a test of the list that passes is as much a difference as one that fails
without being in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from b2emulator.local import LocalB2

SECONDS = 1800
"""For each suite, on a machine that does nothing else it takes about six minutes."""
SUITE_FILES = ("pyproject.toml", "setup.cfg", "README.md", "CHANGELOG.md")
"""pytest's configuration, and what the tests upload."""
PARALLEL = {"B2_Command_Line_Tool": 2, "b2-sdk-python": 1}
CANNOT_PASS = {
    "test_account": "authorises a wrong key at the production service",
    "test_license[True]": "fetches a licence from raw.githubusercontent.com",
}
"""Tests that cannot pass without Backblaze, and why."""
PLUGIN = '''
import re, sys

def pytest_collection_finish(session):
    """The tool says which realm it uses; the suite expects one without a port."""
    for name, module in list(sys.modules.items()):
        if name.endswith("integration.helpers"):
            pattern = re.compile(r"^Using https://127.0.0.1:[0-9]+$")
            module.CommandLine.EXPECTED_STDERR_PATTERNS.append(pattern)
'''


def run(suite: Path, python: Path, options: list[str]) -> dict[str, str]:
    """What became of each test: passed, failed, skipped."""
    with (
        tempfile.TemporaryDirectory(prefix="b2-peers-") as temporary,
        LocalB2("--memory", "--tls", "--max-buckets", "1000") as b2,
    ):
        place = Path(temporary)
        shutil.copytree(suite / "test", place / "test")
        for name in SUITE_FILES:
            if (suite / name).exists():
                shutil.copy(suite / name, place / name)
        (place / "realm_with_a_port.py").write_text(PLUGIN)
        report = place / "report.xml"
        command = [
            *(python, "-m", "pytest", "test/integration", "-q", "--junit-xml", report),
            *("-p", "no:cacheprovider", "-p", "realm_with_a_port", "--tb=short"),
            *("-n", str(PARALLEL[suite.name]), *options),
        ]
        if suite.name == "B2_Command_Line_Tool":
            command += ["--sut", python.with_name("b2v4")]
        environment = {
            **os.environ,
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "HOME": str(place),
            # The suite's own version of the code, as a later one expects what the released cannot.
            "PYTHONPATH": os.pathsep.join((str(place), str(suite))),
            "REQUESTS_CA_BUNDLE": b2.ca_certificate or "",
            "B2_TEST_ENVIRONMENT": b2.realm,
            "B2_TEST_APPLICATION_KEY_ID": b2.key_id,
            "B2_TEST_APPLICATION_KEY": b2.application_key,
        }
        subprocess.run(command, cwd=place, env=environment, timeout=SECONDS, check=False)
        if "internal_error" in b2.admin.counters().errors:
            sys.stderr.write(b2.said())
        return dict(_outcomes(report))


def _outcomes(report: Path) -> list[tuple[str, str]]:
    found = []
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "passed"
        found.append((f"{case.get('name')}", "skipped" if "skipped" in kinds else outcome))
    return found


def main() -> int:
    """0: what failed is what the list says."""
    suites, python, *options = sys.argv[1:]
    surprises = 0
    for name in PARALLEL:
        suite = Path(suites) / name
        if not suite.is_dir():
            sys.exit(f"{suite} is not there: git clone https://github.com/Backblaze/{name} {suite}")
        found = run(suite.resolve(), Path(python).absolute(), options)
        counts = {kind: list(found.values()).count(kind) for kind in sorted(set(found.values()))}
        sys.stdout.write(f"\n{name}: {counts or 'no tests'}\n")
        for test, outcome in sorted(found.items()):
            reason = CANNOT_PASS.get(test)
            if outcome == "failed" or (reason and outcome == "passed"):
                surprises += not (reason and outcome == "failed")
                sys.stdout.write(f"  {outcome}: {test}: {reason or 'NOT EXPECTED'}\n")
        surprises += not found
    return min(surprises, 1)


if __name__ == "__main__":
    sys.exit(main())
