"""A Backblaze B2 on this machine, spoken to over HTTP by B2's own clients.

    python -m b2emulator --port 8180 --data ./b2-data

The folders say who does what:

    wire/     HTTP: routes, one request in, one answer out, the page at /
    calls/    one function for each B2 call
    access/   keys, tokens, and what they allow
    store/    the index in SQLite and the bodies in files
    faults/   errors, delays and cuts on request
    journal.py, admin.py   what was called, and how a test asks for it
    local.py, pytest.py    a server, a bucket, a key for anybody's tests
"""
