"""The second tab: a learner's own code, executed and judged in a process that ends with it."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinygrad_edu.classroom.processes import serve
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.tracing.files import check_file

NAME = "code.py"
EXAMPLE = """\
import numpy as np

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(3, 5)), rng.normal(size=(2, 5))
numbers = {"W": rng.normal(size=(2, 3)), "b": np.zeros((2, 1))}


def run(numbers):
    W, b = numbers["W"], numbers["b"]
    A = np.tanh(W @ X + b)
    cost = np.sum((A - Y) ** 2) / 2
    dZ = (A - Y) * (1 - A)
    return cost, {"dW": dZ @ X.T, "db": dZ.sum(axis=1, keepdims=True)}
"""


def judged(task: Mapping[str, Any]) -> dict[str, Any]:
    """The code of a task, ``{"text": …}``, executed and judged."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        path = Path(folder) / NAME
        path.write_text(task["text"], "utf-8")
        try:
            report = check_file(path)
        except (Exception, SystemExit) as error:
            said = (
                str(error) if isinstance(error, GradError) else f"{type(error).__name__}: {error}"
            )
            where = re.search(r"\bline (\d+)", said)
            return {"error": said.replace(f"{folder}/", ""), "line": int(where[1]) if where else 0}
    rows = [
        {
            "line": line["line"], "name": line["of"], "verdict": "wrong",
            "mistake": line["diagnosis"]["mistake"],
            "said": [line["diagnosis"]["explanation"]],
            "correction": line["diagnosis"]["correction"],
            "change": _change(line, task["text"].splitlines()),
        }
        for line in report.to_json()["lines"]
    ]  # fmt: skip
    said = str(report).replace(f"{folder}/", "")
    title = report.title.partition(": ")[2]
    return {"ok": report.ok, "title": title, "rows": rows, "remarks": report.remarks, "said": said}


def _change(line: Mapping[str, Any], lines: list[str]) -> dict[str, Any] | None:
    correction, number = line["diagnosis"]["correction"], line["line"]
    if not correction or "\n" in correction or not 0 < (number or 0) <= len(lines):
        return None
    old = lines[number - 1]
    indent = old[: len(old) - len(old.lstrip())]
    return {"from": number, "to": number, "text": indent + correction.strip()}


if __name__ == "__main__":
    serve(lambda setting: judged)
