"""The page at /: what this is, and which buckets are in it."""

from __future__ import annotations

from html import escape

from b2emulator.emulator import Emulator

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>A local B2</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:3rem auto;padding:0 1rem}}
table{{border-collapse:collapse}}td,th{{text-align:left;padding:.2rem 1.5rem .2rem 0}}</style>
<h1>A local B2</h1>
<p>This is b2emulator: the Backblaze B2 native API on this machine, for trying and for tests.
Point b2sdk, the <code>b2</code> tool or rclone at this address. It is not Backblaze and keeps
its files {place}.</p>
<h2>Buckets</h2>
<table><tr><th>name<th>type<th>visible files<th>versions<th>bytes</tr>
{rows}</table>
</html>
"""


def page(emulator: Emulator) -> str:
    """HTML; names are escaped."""
    place = "until it ends" if emulator.settings.data is None else "in a folder"
    rows = []
    for bucket in emulator.buckets.all():
        visible, versions, size = emulator.listings.totals(bucket.id)
        rows.append(
            f"<tr><td>{escape(bucket.name)}<td>{escape(bucket.type)}"
            f"<td>{visible}<td>{versions}<td>{size:,}</tr>"
        )
    return _PAGE.format(place=place, rows="\n".join(rows) or "<tr><td>none yet</tr>")
