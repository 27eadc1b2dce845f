"""The search for cyclic garbage, put off while many small objects are made."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """No search for cyclic garbage: among objects that all are still needed it finds nothing, and
    takes longer the more there are."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()
