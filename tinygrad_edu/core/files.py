"""Files written whole or not at all, and numbers read from files that strangers may have made."""

from __future__ import annotations

import contextlib
import errno
import io
import math
import os
import secrets
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from tinygrad_edu.core.primitive import GradError


def write_whole(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a file at `path`: a reader finds the old or the new one, never half of one.

    Where `path` is a symbolic link, the file that it points to is written. What is no regular file,
    a device or a pipe, is written through, never replaced.
    Raises OSError where the folder is missing or full; the old file is then untouched.
    """
    path = Path(path)
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if is_stream(path):
        held = io.BytesIO()  # what is made may go back and forth in its file
        write(held)
        _write_through(path, held.getvalue())
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))
        if path.is_symlink():  # in a circle
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} to write {path.name} in")
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


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Is this a device, a pipe, or another name of an open file (``/dev/stdout``)?"""
    path = Path(path)
    for _ in range(40):  # more links than that lead in a circle
        if not path.is_symlink():
            return path.exists() and not path.is_file() and not path.is_dir()
        if path.parent.resolve().parts[1:2] == ("proc",):
            return True
        path = path.parent / path.readlink()
    return False


def _write_through(path: Path, content: bytes) -> None:
    try:
        if _is_standard_output(path):  # after what was printed before, and before what will be
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
            sys.stdout.flush()
            return
        with path.open("wb") as stream:
            stream.write(content)
    except OSError as error:
        error.filename = error.filename or str(path)  # an error of writing has none
        raise


def _is_standard_output(path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # closed, or something that stands in for it
        return False


def check_apart(
    output: str | os.PathLike[str] | None, *inputs: str | os.PathLike[str] | None
) -> None:
    """Raises GradError where a file to be written is one of those to be read, by whatever name.

    A device may be both: a terminal is.
    """
    if output is None or not os.path.isfile(output):
        return
    for read in inputs:
        if read is not None and os.path.exists(read) and os.path.samefile(read, output):
            raise GradError(
                f"{os.fspath(output)} is read by this command and would be overwritten: "
                "give the output another name"
            )


def write_npz(path: str | os.PathLike[str], numbers: Mapping[str, Any]) -> None:
    """Write named arrays to `path`, whole or not at all, as `write_whole` does."""
    write_whole(path, lambda file: np.savez(file, **numbers))


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file open for reading. GradError for a pipe or a device, which may have no end."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise GradError(f"{os.fspath(path)} is a pipe or a device, and no file")
        yield file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_npz(path: str | os.PathLike[str], most: int | None = None) -> dict[str, Any]:
    """The arrays of an ``.npz`` file, of at most `most` bytes, or as many as the file itself has.

    So a small file cannot unpack to more than memory holds: what this package writes is not packed.
    Raises OSError for a file that cannot be opened, and GradError for one that is something else,
    is spoilt, too large, or holds pickled objects, which could run code.
    """
    with opened(path) as file:
        limit = os.fstat(file.fileno()).st_size if most is None else most
        try:
            with zipfile.ZipFile(file) as packed:
                held = sum(item.file_size for item in packed.infolist())
                if held > limit:
                    raise ValueError(f"it unpacks to {held:,} bytes; {limit:,} are the limit")
                return dict(_array(packed, item) for item in packed.infolist())
        except OSError:
            raise
        except Exception as error:  # whatever a spoilt file makes zipfile and NumPy raise
            raise GradError(
                f"{os.fspath(path)} is no file of named arrays (.npz): {str(error) or type(error)}"
            ) from None


def _array(packed: zipfile.ZipFile, item: zipfile.ZipInfo) -> tuple[str, Any]:
    """One array and its name; its header may not claim more numbers than there are bytes."""
    with packed.open(item) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        read = np.lib.format.read_array_header_2_0 if version == (2, 0) else read
        shape, _, dtype = read(file)
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize > item.file_size:
        raise ValueError(f"{item.filename} claims shape {shape}, more than it holds")
    with packed.open(item) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
    return item.filename.removesuffix(".npy"), array
