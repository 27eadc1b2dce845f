"""Numbers on disk as `.npz`, written whole or not at all; `core.files` reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.core.files import write_whole


def write_npz(path: str | os.PathLike[str], numbers: Mapping[str, Any]) -> None:
    """Write named arrays to `path`, whole or not at all, as `write_whole` does."""
    write_whole(path, lambda file: np.savez(file, **numbers))
