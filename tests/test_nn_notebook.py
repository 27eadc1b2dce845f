"""The notebook runs from top to bottom."""

import contextlib
import io
import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "examples" / "tour.ipynb"


def test_the_notebook_runs_and_shows_its_results():
    pytest.importorskip("sklearn")
    scope = {}
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec("".join(cell["source"]), scope)
        kinds = [output["output_type"] for output in cell["outputs"]]
        assert ("stream" in kinds) == bool(printed.getvalue())
        assert "error" not in kinds
    data = scope["data"]
    assert scope["net"].accuracy(data.X_test, data.Y_test) > 0.95
    assert scope["w"].grad == pytest.approx(-2.3593432)
