"""Files written whole or not at all; numbers as `.npz`, read without running anything."""

from __future__ import annotations

import contextlib
import os
import secrets
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.nn.initialise import Array


def write_whole(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a file at `path`: a reader finds the old or the new one, never half of one.

    Raises OSError where the folder is missing or full; the old file is then untouched.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with draft.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)  # on one file system this is a single step
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


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
