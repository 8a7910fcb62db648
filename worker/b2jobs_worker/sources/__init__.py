"""Where bytes are read from and where downloads are put: roots, https, object stores.

`open_source` and `open_sink` are the way in; `port` says what they give.
"""

from b2jobs_worker.sources.opener import open_sink, open_source

__all__ = ["open_sink", "open_source"]
