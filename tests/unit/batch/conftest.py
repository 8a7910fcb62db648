"""Property tests count examples, not seconds: machines of CI are slow at times."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("batch", deadline=None, max_examples=50)
settings.load_profile("batch")
