"""Every code that sources can raise stands in docs/sources.md, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import b2jobs_worker.secrets
import b2jobs_worker.sources

DOCS = Path(__file__).parents[3] / "docs" / "sources.md"
RAISING = {"CallerError", "OperatorError", "PassingError", "InternalError", "JobError"}
TELLING = {"Problem", "_tell"}
INDIRECT = {f"{end}_unsupported" for end in ("source", "destination")}


def raised() -> set[str]:
    """The constants in the place of the code wherever an error or a problem is made."""
    codes = set(INDIRECT)
    files = list(Path(b2jobs_worker.sources.__path__[0]).glob("*.py"))
    files.append(Path(b2jobs_worker.secrets.__file__))
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Tuple) and len(node.elts) == 2 and "failures" in file.name:
                codes |= constants(node.elts[1])
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in RAISING:
                codes |= constants(node.args[0])
            elif name in TELLING:
                codes |= constants(node.args[1])
    return codes


def constants(node: ast.expr) -> set[str]:
    if isinstance(node, ast.Constant) and re.match(r"[a-z]+(_[a-z0-9]+)+\Z", str(node.value)):
        return {str(node.value)}
    return set()


def documented() -> set[str]:
    table = DOCS.read_text().partition("## Codes")[2]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {code for row in rows for code in re.findall(r"`([a-z0-9_]+)`", row)}


def test_codes_and_their_documentation_agree() -> None:
    assert raised() == documented()
