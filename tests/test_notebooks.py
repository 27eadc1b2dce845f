"""How things show themselves in notebooks, and the notebooks of the examples."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.drawing import renderer

EXAMPLES = Path(__file__).parent.parent / "examples"


def _masked(outputs):
    """Outputs without what differs from machine to machine: numbers, and pictures' layout."""
    shown = []
    for output in outputs:
        kinds = dict(output.get("data", {}), **{k: output[k] for k in ("text",) if k in output})
        kinds = {kind: "".join(text) for kind, text in kinds.items()}
        for kind in kinds:
            kinds[kind] = re.sub(r"<svg.*</svg>", "<svg>", kinds[kind], flags=re.S)
            number = r"-?\d+\.\d+(e[-+]?\d+)?|\d+e[-+]?\d+|(?<=<td>)0(?=</td>)"
            kinds[kind] = re.sub(number, "#", kinds[kind])
        kinds.pop("image/svg+xml", None)
        shown.append(kinds)
    return shown


@pytest.mark.parametrize("name", ["notebook", "tour"])
@pytest.mark.one_in(2)
def test_a_notebook_run_anew_shows_what_is_kept(name):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    run = runpy.run_path(str(EXAMPLES / "tools" / "run_notebooks.py"))["run"]
    kept = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
    fresh = json.loads(json.dumps(kept))
    run(fresh)
    for old, new in zip(kept["cells"], fresh["cells"], strict=True):
        if old["cell_type"] == "code":
            assert _masked(new["outputs"]) == _masked(old["outputs"]), "run examples/tools"


@pytest.fixture(scope="module")
def shown():
    """One of every kind of thing that is public, by the name of its class."""
    net = nn.Network(2, nn.Dense(3, "tanh"), nn.Dense(1, "sigmoid"), seed=0)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 6)), rng.integers(0, 2, size=(1, 6))
    history = net.fit(X, Y, epochs=3)
    W1, W2, x = tg.Value([[2.0]], "W1"), tg.Value([[3.0]], "W2"), tg.Value([[5.0]], "x")
    cost = net.cost(X, Y)
    rules = net.derive()
    sheets = tg.check_sheets([EXAMPLES / "mistaken.sheet"])
    code = tg.check_code(lambda n: (n["w"] ** 2, {"w": 2 * n["w"]}), {"w": 3.0})
    compared = tg.compare(cost, {"dW1": np.zeros((3, 2))})
    things = [
        net, history, cost, rules, rules[0], sheets, sheets.reports[0], code, compared,
        tg.compile(cost), tg.collapse(W2 @ (W1 @ x), x), tg.draw(cost), nn.breast_cancer(),
        nn.diagnose(net, X, Y), nn.RBM(3, 2), nn.Run(net, nn.Adam()), nn.Watch(X, Y),
        nn.Adam(), nn.GradientDescent(0.1), nn.Momentum(0.1), nn.RMSProp(0.1), nn.Optimiser(0.1),
        nn.StepDecay(0.1, 3), nn.Cosine(0.1, 3), nn.Dense(3), nn.Dropout(0.5), nn.BatchNorm(),
        nn.LayerNorm(), nn.Recurrent(3), nn.Layer(), net.parameters, rules[0].explanation, tg.exp,
    ]  # fmt: skip
    return {type(thing).__name__: thing for thing in things}


def test_every_public_thing_has_a_short_repr(shown):
    classes = {
        x.__name__
        for room in (tg, nn)
        for x in (getattr(room, name) for name in room.__all__)
        if isinstance(x, type) and not issubclass(x, Exception)
    }
    assert classes - {"no_grad", "debug_nans"} <= shown.keys()
    for name, thing in shown.items():
        assert len(repr(thing)) < 200, name
        assert "object at 0x" not in repr(thing), name


#: What is more than a line of text has a form of its own in a notebook.
RICH = {
    "Batch", "CodeReport", "Collapsed", "Comparison", "Derivation", "Diagnosis", "History",
    "Network", "Program", "Rule", "SheetReport", "Why",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(RICH))
def test_what_is_more_than_a_line_has_a_rich_form(name, shown):
    thing = shown[name]
    html, latex = (getattr(thing, f"_repr_{kind}_", lambda: None)() for kind in ("html", "latex"))
    assert html or latex
    assert not html or html.count("<table") == html.count("</table>")


def test_a_picture_fits_the_page_and_has_a_text_beside_it(shown):
    bundle = shown["Picture"]._repr_mimebundle_()
    assert re.search(r"<svg style=\"max-width: 100%", bundle["image/svg+xml"])
    assert "arrows" in bundle["text/plain"]


def test_a_picture_that_cannot_be_drawn_shows_why(shown, monkeypatch):
    monkeypatch.setattr(renderer, "system_dot", lambda: None)
    monkeypatch.setattr(renderer, "pip_dot", lambda: None)
    bundle = shown["Picture"]._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert "no renderer was found" in bundle["text/plain"]


@pytest.mark.slow
def test_a_history_shows_its_plot_and_without_matplotlib_or_numbers_the_table_alone(
    shown, monkeypatch
):
    pytest.importorskip("matplotlib")
    history = shown["History"]
    assert '<svg style="max-width: 100%' in history._repr_html_()
    assert "<svg" in history.plot()._repr_html_()
    assert "first argument" in repr(history.plot())
    for nothing in (type(history)(), type(history)(cost=[float("nan")])):
        assert "<table>" in nothing._repr_html_()
        assert "<svg" not in nothing._repr_html_()
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert "<svg" not in history._repr_html_()


def test_a_derivation_without_a_line_shows_its_text():
    nothing = tg.derive(tg.sum(tg.Value([1.0, 2.0], "x")), [])
    assert nothing._repr_latex_() is None
    assert repr(nothing) == "<Derivation of J, convention calculus: no rule>"
