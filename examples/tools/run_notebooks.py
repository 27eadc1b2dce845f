"""Run the notebooks of the examples and keep what they show."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

NOTEBOOKS = sorted(Path(__file__).parents[1].glob("*.ipynb"))
KEPT = ("text/plain", "text/latex", "text/html", "image/svg+xml")


def run(notebook: dict[str, Any]) -> None:
    """Run the cells of a notebook from top to bottom and give each its outputs."""
    shell, results = InteractiveShell(), []
    shell.display_trap.hook = results.append
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for count, cell in enumerate(cells, 1):
        results.clear()
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            shell.run_cell("".join(cell["source"])).raise_error()
        cell["execution_count"], cell["outputs"] = count, []
        if printed.getvalue():
            text = lines(printed.getvalue())
            cell["outputs"].append({"name": "stdout", "output_type": "stream", "text": text})
        for result in filter(lambda result: result is not None, results):
            data, _ = shell.display_formatter.format(result, include=KEPT)
            shown = {"data": {kind: lines(text) for kind, text in data.items()}, "metadata": {}}
            kind = {"execution_count": count, "output_type": "execute_result"}
            cell["outputs"].append(shown | kind)


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    for path in NOTEBOOKS:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        run(notebook)
        text = json.dumps(notebook, ensure_ascii=False, indent=1)
        path.write_text(f"{text}\n", encoding="utf-8")
