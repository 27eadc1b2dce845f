"""Numbers on disk: `.npz` files written whole or not at all, and read without running anything."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.nn.initialise import Array


def write_npz(path: str | os.PathLike[str], numbers: Mapping[str, Any]) -> None:
    """Write named arrays to `path`: a reader finds the old file or the new one, never half of one.

    Raises OSError where the folder is missing or full; the old file is then untouched.
    """
    path = Path(path)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **numbers)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)  # on one file system this is a single step
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def read_npz(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays of a file written by `write_npz`.

    Raises FileNotFoundError, and GradError for a file that is something else, or holds pickled
    objects, which could run code.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        raise GradError(f"{os.fspath(path)} is no file of named arrays (.npz): {error}") from None
