"""Numbers on disk as `.npz`, written whole or not at all, read without running anything."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.core.files import write_whole
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.nn.initialise import Array


def write_npz(path: str | os.PathLike[str], numbers: Mapping[str, Any]) -> None:
    """Write named arrays to `path`, whole or not at all, as `write_whole` does."""
    write_whole(path, lambda file: np.savez(file, **numbers))


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
