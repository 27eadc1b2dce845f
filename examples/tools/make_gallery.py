"""Run every example and write examples/README.md: what each says, prints and draws."""

import ast
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLES = Path(__file__).parents[1]
INTRODUCTION = """# The examples, in order

From one neuron to eight devices. Each file runs alone: `python examples/01_one_neuron.py`; 09 and
12 need `pip install scikit-learn matplotlib`, 11 `pip install matplotlib`, 13 `pip install jax
jaxlib`. Below is what they print and draw, on one machine: times differ on another.
[tour.ipynb](tour.ipynb) is the same story as a notebook.
"""


def section(example: Path) -> str:
    """One example: its docstring as the title, its output, its pictures."""
    title = (ast.get_docstring(ast.parse(example.read_text(encoding="utf-8"))) or "").splitlines()[
        0
    ]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-W", "error", example],
            cwd=folder, capture_output=True, text=True, encoding="utf-8", check=True,
        )  # fmt: skip
        pictures = sorted(Path(folder).glob("*.svg"))
        for picture in pictures:
            (EXAMPLES / picture.name).write_bytes(picture.read_bytes())
    lines = [
        f"## {example.stem[:2]} {title}",
        "",
        f"[{example.name}]({example.name})",
        "",
        "```text",
    ]
    lines += [done.stdout.rstrip(), "```", ""]
    lines += [f"![{picture.stem}]({picture.name})\n" for picture in pictures]
    return "\n".join(lines)


if __name__ == "__main__":
    sections = [section(example) for example in sorted(EXAMPLES.glob("[0-9]*.py"))]
    (EXAMPLES / "README.md").write_text("\n".join([INTRODUCTION, *sections]), encoding="utf-8")
