"""The table of settings in the README. `make docs` writes it anew from the code."""

from __future__ import annotations

import re
from pathlib import Path

from b2jobs_worker.settings import Settings

README = Path(__file__).resolve().parents[2] / "README.md"
_TABLE = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- end of settings -->)", re.DOTALL)


def table() -> str:
    """One line for each field of `Settings`."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = (
            f"{default:g}"
            if isinstance(default, float)
            else str("" if default is None or default == {} else default)
        )
        only_in_file = isinstance(default, dict)
        variable = f"`[{name}]`" if only_in_file else f"`B2JOBS_{name.upper()}`"
        lines.append(f"| {variable} | {shown and f'`{shown}`'} | {field.description} |")
    return "\n".join(lines).replace("|  |", "| |") + "\n"


def table_in_readme() -> str:
    found = _TABLE.search(README.read_text())
    assert found
    return found[0]


if __name__ == "__main__":
    README.write_text(_TABLE.sub(lambda _: table(), README.read_text()))
