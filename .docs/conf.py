"""Settings of Sphinx: the README and the guide as they stand, and a reference from the docstrings.

pip install ".[docs]" && sphinx-build -W -c .docs . out/docs
"""

import importlib
import re

import tinygrad_edu as tg
from tinygrad_edu import nn

project = html_title = "tinygrad_edu"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "README"
include_patterns = [
    "README.md", "examples/README*.md", "examples/guide/*.md", "tinygrad_edu/nn/data/README.md",
    ".docs/reference.md",
]  # fmt: skip
exclude_patterns = [".git", ".venv*", "out"]  # not even looked into
html_theme = "furo"
myst_heading_anchors = 3
default_role = "literal"  # `b` in a docstring is code
autodoc_typehints = "none"
add_module_names = False

#: The pages in the margin: those of the README's table, in its order.
CONTENTS = """
```{{toctree}}
:hidden:

{pages}
.docs/reference
tinygrad_edu/nn/data/README
```
"""


def entry(module, name):
    """The directive that documents one public name."""
    x = getattr(module, name)
    kind = "function"
    if isinstance(x, type):
        kind = "exception" if issubclass(x, Exception) else "class"
    members = "   :members:\n" if kind == "class" else ""
    return f".. auto{kind}:: {module.__name__}.{name}\n{members}"


def section(module, names, room):
    """The entries of a room under its name, with the first line of its docstring."""
    lead = room.__doc__.splitlines()[0]
    entries = "\n".join(entry(module, name) for name in names if name in module.__all__)
    return f"\n## {room.__name__}\n\n{lead}\n\n```{{eval-rst}}\n{entries}```\n"


def reference():
    """An entry for every public name, room by room as the contents page has them."""
    core = [name for name in tg.__all__ if name not in tg._ROOM_OF and not name.startswith("_")]
    yield section(tg, core, tg.core)
    for room, names in tg._ROOMS.items():
        if set(names) & set(tg.__all__):
            yield section(tg, names, importlib.import_module(room))
    yield section(nn, nn.__all__, nn)


def filled(app, page, source):
    """The README gets the list of pages, the reference its entries."""
    if page == "README":
        pages = re.findall(r"^\| .*?\]\((examples/[^)]*)\.md\)", source[0], re.M)
        source[0] += CONTENTS.format(pages="\n".join(pages))
    if page == ".docs/reference":
        source[0] += "".join(reference())


def setup(app):
    app.connect("source-read", filled)
