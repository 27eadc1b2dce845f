"""The files of the page: served by `serve`, or written into a folder by `write`."""

from __future__ import annotations

import functools
import html
import io
import json
import shutil
import zipfile
from importlib import resources, util
from pathlib import Path
from typing import IO

from tinygrad_edu.core.files import write_whole
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.workbench.code import EXAMPLE

#: Where a page written without --pyodide takes Pyodide from: its own release.
PYODIDE = "https://cdn.jsdelivr.net/pyodide/v0.27.7/full/"
#: What no page may do: run what stands in it, or ask anybody but where it came from.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; base-uri 'none'; form-action 'none'"
)
TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8", ".json": "application/json",
    ".svg": "image/svg+xml",
}  # fmt: skip
#: Packages that the browser's Python needs beside NumPy: pure Python, as installed here.
_PACKAGES = ("tinygrad_edu", "graphviz")


def page_files() -> dict[str, bytes]:
    """The files of the served page, by name."""
    folder = resources.files("tinygrad_edu.workbench") / "page"
    found = {
        name: (folder / name).read_bytes()
        for name in ("bench.css", "bench.js", "editor.js", "icon.svg")
    }
    index = (folder / "index.html").read_text("utf-8")
    found["index.html"] = index.replace("{{MODE}}", "served").replace("{{POLICY}}", "").encode()
    found["gallery.json"] = json.dumps(gallery()).encode()
    return found


def gallery() -> dict[str, str]:
    """The examples, by title; the first is what the page opens with."""
    own = resources.files("tinygrad_edu.workbench") / "gallery"
    lecture = resources.files("tinygrad_edu.lecture") / "sheets"
    sheets = [
        ("a mistake to find", own / "mistaken.sheet"),
        ("two layers, tanh", lecture / "S6_tanh.sheet"),
        ("two layers, ReLU", lecture / "S6_relu.sheet"),
        ("softmax", own / "softmax.sheet"),
        ("unit by unit", lecture / "S4.sheet"),
        ("a value used twice", own / "residual.sheet"),
        ("a penalty on the weights", own / "penalty.sheet"),
        ("to start from", lecture / "starter.sheet"),
    ]
    return {title: file.read_text("utf-8") for title, file in sheets} | {"code": EXAMPLE}


def write(folder: Path, pyodide: str | None = None, viz: Path | None = None) -> None:
    """Write the page as static files; Python then runs in the browser, by Pyodide in a worker.

    `pyodide`: the address or the folder of a release of Pyodide with NumPy; a folder is copied.
    `viz`: the module of Viz.js that draws the pictures there (its ``dist/viz.js``); copied.
    Raises GradError for a folder without Pyodide, OSError where nothing can be read or written.
    """
    files = page_files()
    source = pyodide or PYODIDE
    remote = source.startswith(("https://", "http://"))
    if not remote and not (Path(source) / "pyodide.mjs").is_file():
        raise GradError(f"page: there is no pyodide.mjs in {source}")
    own = resources.files("tinygrad_edu.workbench") / "page"
    address = source.rstrip("/") + "/" if remote else "./pyodide/"
    origin = "/".join(address.split("/")[:3]) if remote else ""
    policy = POLICY.replace("script-src 'self'", f"script-src 'self' 'wasm-unsafe-eval' {origin}")
    policy = policy.replace("connect-src 'self'", f"connect-src 'self' {origin}").replace(" ;", ";")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">'
    index = (own / "index.html").read_text("utf-8").replace("{{MODE}}", "static")
    files["index.html"] = index.replace("{{POLICY}}", meta).encode()
    files["worker.js"] = (own / "worker.js").read_bytes()
    files["setting.json"] = json.dumps({"pyodide": address, "packages": "packages.zip"}).encode()
    files["packages.zip"] = _packed()
    if viz is not None:
        files["viz.js"] = viz.read_bytes()
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, functools.partial(_put, content))
    if not remote:
        shutil.copytree(source, folder / "pyodide", dirs_exist_ok=True)


def _put(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def _packed() -> bytes:
    """The packages that the browser's Python needs, as one archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in _PACKAGES:
            spec = util.find_spec(name)
            assert spec is not None
            assert spec.origin is not None
            root = Path(spec.origin).parent
            for path in sorted(root.rglob("*")):
                if path.is_file() and path.suffix not in (".pyc", ".so", ".pyd"):
                    entry = zipfile.ZipInfo(str(name / path.relative_to(root)))
                    archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return out.getvalue()
