"""Pictures: what is in them, that no name can break them, and that files are whole."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import graphviz  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.drawing import boxes, folding, lines, local, numbers, picture, renderer

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    'a"b', '"]; evil [label="x"]; "', "a\\", "\\N", '\\"', "{|}", "a|b", "<p>", "<b>w</b>", "<b>",
    "<>", "line\nbreak", "return\r", "tab\t", "a&amp;b", "&", "سلام دنیا", "🙂", "z¹", " ",
    "x" * 10_000, "nul\0", "node", ";", "/*", "%d", "\u202eright to left", "\ud800",
    "<script>alert(1)</script>", "-->", "]]>", 'w", URL="javascript:alert(1)', "#", "a--b",
    "cluster_0",
]  # fmt: skip


def a_net(m: int = 5) -> tuple[tg.Value, dict[str, tg.Value]]:
    rng = np.random.default_rng(3)
    X = tg.Value(rng.normal(size=(2, m)), requires_grad=False)
    Y = tg.Value(rng.integers(0, 2, (1, m)), requires_grad=False)
    W1, b1 = tg.Value(rng.normal(size=(3, 2))), tg.Value(rng.normal(size=(3, 1)))
    W2, b2 = tg.Value(rng.normal(size=(1, 3))), tg.Value(rng.normal(size=(1, 1)))
    Z1 = W1 @ X + b1
    A1 = tg.tanh(Z1)
    Z2 = W2 @ A1 + b2
    J = tg.mean(tg.binary_cross_entropy(Z2, Y, from_logits=True))
    named = {k: v for k, v in locals().items() if isinstance(v, tg.Value)}
    tg.name_values(**named)
    return J, named


def texts(svg: bytes) -> list[str]:
    return [t.text or "" for t in ET.fromstring(svg).iter(f"{SVG}text")]


def parts(svg: bytes, kind: str) -> int:
    return sum(g.get("class") == kind for g in ET.fromstring(svg).iter(f"{SVG}g"))


def links(source: str, backward: bool = False) -> list[tuple[str, str]]:
    """The solid edges of DOT text, or the dashed ones."""
    found = re.findall(r"^\t(\w+) -> (\w+)(.*)$", source, re.MULTILINE)
    return [(a, b) for a, b, rest in found if ("dir=back" in rest) == backward]


# --- what is in a picture ------------------------------------------------------------------------


def test_a_picture_is_a_graphviz_digraph() -> None:
    assert isinstance(tg.draw(a_net()[0]), graphviz.Digraph)


def test_both_edges_of_x_times_x_are_drawn_forward_and_backward() -> None:
    x = tg.Value(3.0, "x")
    source = tg.draw(x * x).source
    assert links(source).count(("n0", "n1")) == 2
    assert links(source, backward=True).count(("n0", "n1")) == 2
    assert parts(tg.draw(x * x, show="forward").pipe("svg"), "edge") == 2


def test_a_value_shows_name_shape_value_and_gradient() -> None:
    w, x = tg.Value(0.7071067811, "w"), tg.Value(2.0, "x", requires_grad=False)
    z = w * x
    z.backward()
    shown = texts(tg.draw(z).pipe("svg"))
    assert {"w", "0.7071", "x", "1.414"} <= set(shown)
    assert shown.count("2") == 2  # the value of x and the gradient of w
    assert "(3, 2)" in {t.strip() for t in texts(tg.draw(a_net()[0]).pipe("svg"))}


def test_before_backward_a_gradient_is_not_computed_and_never_zero() -> None:
    w, x = tg.Value(3.0, "w"), tg.Value(5.0, "x", requires_grad=False)
    shown = texts(tg.draw(w * x).pipe("svg"))
    assert shown.count("not computed") == 2  # w and the product; x needs none
    assert "0" not in shown


def test_drawing_does_not_change_the_graph() -> None:
    J, named = a_net()
    J.backward()
    before = {k: np.copy(v.grad) for k, v in named.items() if v.requires_grad}
    tg.draw(J, names={"other": named["W1"]})
    assert named["W1"].name == "W1"
    for k, g in before.items():
        np.testing.assert_array_equal(named[k].grad, g)


def test_names_given_name_what_has_no_name() -> None:
    w, x = tg.Value(2.0), tg.Value(5.0, "own")
    shown = texts(tg.draw(w * x, names={"weight": w, "other": x, "n": 7}).pipe("svg"))
    assert "weight" in shown
    assert "own" in shown
    assert "other" not in shown
    assert w.name is None


def test_layers_told_by_names_become_clusters_with_superscripts() -> None:
    svg = tg.draw(a_net()[0]).pipe("svg")
    assert {"layer 1", "layer 2", "W¹", "Z²"} <= set(texts(svg))
    assert parts(svg, "cluster") == 2


def test_x1_and_x2_alone_are_no_layers() -> None:
    x1, x2 = tg.Value(1.0, "x1"), tg.Value(2.0, "x2")
    shown = texts(tg.draw(x1 * x2).pipe("svg"))
    assert "x1" in shown
    assert not any("layer" in t for t in shown)


def test_forward_shows_no_gradient_and_backward_no_value() -> None:
    J, _ = a_net()
    J.backward()
    forward, backward = tg.draw(J, show="forward").source, tg.draw(J, show="backward").source
    assert "grad" not in forward
    assert not links(forward, backward=True)
    assert ">value<" not in backward
    assert not links(backward)
    assert links(backward, backward=True)


def test_the_backward_pass_alone_has_only_what_needs_a_gradient() -> None:
    J, _ = a_net()
    J.backward()
    source = tg.draw(J, show="backward").source
    boxes_ = re.findall(r"^\tn\d+ \[label=<.*<B>(.*?)</B>", source, re.MULTILINE)
    assert set(boxes_) == {"W¹", "b¹", "W²", "b²", "Z¹", "A¹", "Z²", "J"}


def test_no_gradient_edge_reaches_what_needs_none() -> None:
    w, x = tg.Value(2.0, "w"), tg.Value(5.0, "x", requires_grad=False)
    assert sorted(links(tg.draw(w * x).source, backward=True)) == [("n0", "n2")]


def test_the_source_is_the_same_every_time_whatever_was_computed_before() -> None:
    first = tg.draw(a_net()[0]).source
    _ = [tg.Value(float(i)) for i in range(17)]
    assert tg.draw(a_net()[0]).source == first


def test_roles_are_told_by_use_and_by_name() -> None:
    J, named = a_net()
    drawing = boxes.Drawing(reachable(J, every=True)[::-1], _names(J))
    roles = {name: drawing.role(node) for name, node in named.items()}
    assert {roles[n] for n in ("W1", "b1", "W2", "b2")} == {"parameter"}
    assert {roles["X"], roles["Y"]} == {"input"}
    assert {roles["Z1"], roles["A1"], roles["Z2"]} == {"intermediate"}
    assert roles["J"] == "result"
    asked = tg.Value(2.0, "x1") * tg.Value(3.0, "w") * 4.0
    drawing = boxes.Drawing(reachable(asked, every=True)[::-1], _names(asked))
    assert [drawing.role(n) for n in drawing.nodes if n.op is None] == [
        "input", "parameter", "constant",
    ]  # fmt: skip


def test_roles_differ_in_fill_and_in_border() -> None:
    looks = boxes.ROLES.values()
    assert len({look.fill for look in looks}) == len({look.table for look in looks}) == 5


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((0, 3)), np.zeros((2, 3, 4)), np.full((2, 2), np.nan),
        np.array([[np.inf, 1.0] * 9] * 2), np.full((4, 5), 1e300),
    ],
)  # fmt: skip
def test_any_numbers_can_be_shown(data: Any) -> None:
    v = tg.Value(data, "v")
    with np.errstate(all="ignore"):
        z = tg.sum(v)
        z.backward()
    assert parts(tg.draw(z).pipe("svg"), "node") == 2


def test_few_numbers_are_shown_one_by_one_and_many_as_heat_map_and_summary() -> None:
    few = numbers.html_like(np.array([[1.5, -2.0], [0.25, 8.0]]))
    assert all(f">{n}<" in few for n in ("1.5", "-2", "0.25", "8"))
    many = np.linspace(-1, 1, 60).reshape(6, 10)
    shown = numbers.html_like(many)
    assert shown.count("BGCOLOR") == 60
    assert "-1 … 1" in shown
    assert f"{many.std():.3g}" in shown
    assert "BGCOLOR" not in numbers.html_like(np.ones((500, 500)))


def test_what_is_no_value_and_unknown_options_are_refused() -> None:
    x = tg.Value(1.0)
    with pytest.raises(TypeError, match="draw: cost must be a Value"):
        tg.draw(3.0)
    with pytest.raises(TypeError, match="names must be a dictionary"):
        tg.draw(x, names=[x])
    with pytest.raises(tg.GradError, match="sideways"):
        tg.draw(x, show="sideways")
    for wrong in (0, -3, "all", 2.5, True):
        with pytest.raises((tg.GradError, TypeError), match="max_nodes"):
            tg.draw(x, max_nodes=wrong)


# --- the backward pass ---------------------------------------------------------------------------


def labels(source: str) -> dict[tuple[str, str], str]:
    """What is written on each dashed edge."""
    found = re.findall(r"^\t(\w+) -> (\w+) \[dir=back.* label=<&#160;(.*?)>", source, re.MULTILINE)
    return {(tail, head): html.unescape(text) for tail, head, text in found}


def test_what_a_line_sends_back_has_its_rule_in_the_names_of_the_graph() -> None:
    J, named = a_net()
    drawing = boxes.Drawing(reachable(J, every=True)[::-1], _names(J))
    rules = {c.parent.name: c.rule.text for head in drawing.lines for c in drawing.sent(head)}
    assert rules["W2"] == "dZ2 @ A1ᵀ"
    assert rules["W1"] == "dZ1 @ Xᵀ"
    assert rules["b1"] == "sum(dZ1, axis=1)"
    assert rules["A1"] == "W2ᵀ @ dZ2"
    assert rules["Z1"] == "dA1 * (1 - A1**2)"
    assert named["Z1"] in drawing.lines


def test_where_several_gradients_arrive_the_edges_have_their_rules() -> None:
    x = tg.Value(3.0, "x")
    z = tg.tanh(x) * tg.exp(x)
    on = labels(tg.draw(z).source)
    assert on == {("n0", "n1"): "dv1 * (1 - v1**2)", ("n0", "n2"): "dv2 * v2"}


def test_the_boxes_of_named_quantities_have_the_derived_line() -> None:
    shown = [t.replace("\xa0", " ") for t in texts(tg.draw(a_net()[0]).pipe("svg"))]
    assert " ".join(shown[shown.index("dZ1 = W2ᵀ dZ2 *") :][:2]) == "dZ1 = W2ᵀ dZ2 * (1 − A1²)"
    assert "dA1 = W2ᵀ dZ2" in shown


def test_a_gradient_from_several_uses_is_shown_as_their_sum() -> None:
    x = tg.Value(3.0, "x")
    z = x * x + tg.exp(x * 0.0)
    z.backward()
    assert "= 0 + 3 + 3" in texts(tg.draw(z).pipe("svg"))
    v = tg.Value(np.ones(3), "v")
    z = tg.sum(v * v)
    z.backward()
    assert "sum of 2 contributions" in texts(tg.draw(z).pipe("svg"))


@pytest.mark.parametrize("whole", [True, False])
@given(st.data())
@pytest.mark.slow
def test_a_rule_computed_as_written_gives_the_contribution(
    whole: bool, data: st.DataObject
) -> None:
    """Brackets included: each text, evaluated as Python, is the number beside it. `whole`: where
    steps without a name are part of a line."""
    values = [tg.Value(x, f"x{i}") for i, x in enumerate((0.7, -1.3, 2.1))]
    for i in range(data.draw(st.integers(1, 8))):
        a, b = (data.draw(st.sampled_from(values)) for _ in range(2))
        kind = data.draw(st.sampled_from("+-*/n^etp"))
        values.append(
            {
                "+": lambda a, b: a + b,
                "-": lambda a, b: a - b,
                "*": lambda a, b: a * b,
                "/": lambda a, b: a / (b + 10.0),
                "n": lambda a, b: -a,
                "^": lambda a, b: a**3,
                "e": lambda a, b: tg.exp(a * 0.1),
                "t": lambda a, b: tg.tanh(a),
                "p": lambda a, b: (1.0 + tg.sigmoid(a)) ** b,
            }[kind](a, b)
        )
        values[-1].name = f"y{i}" if data.draw(st.booleans()) else None
    root = values[-1]
    root.name = "root"
    root.backward()
    drawing = boxes.Drawing(reachable(root, every=True)[::-1], _names(root), whole=whole)
    known: dict[str, Any] = {"exp": np.exp, "tanh": np.tanh, "log": np.log}
    known["σ"] = lambda x: 1 / (1 + np.exp(-x))
    for node in drawing.lines:
        if node in drawing.called:
            known[drawing.called[node].text] = node.data
            known[f"d{drawing.called[node].text}"] = node.grad
    for node in drawing.lines:
        if node.op is not None:
            formula = local.formula(node, drawing.called).text
            assert _computed(formula, known) == pytest.approx(node.data, rel=1e-9, abs=1e-12)
        for sent in drawing.sent(node):
            assert _computed(sent.rule.text, known) == pytest.approx(
                sent.amount, rel=1e-9, abs=1e-12
            )


def _computed(text: str, known: dict[str, Any]) -> Any:
    return eval(text.replace("≠", "!=").replace(" = ", " == "), {}, known)


def _names(root: tg.Value) -> dict[tg.Value, str]:
    return {node: node.name for node in reachable(root, every=True) if node.name}


def test_contributions_of_arrays_add_up_to_the_gradients_backward_left() -> None:
    J, named = a_net()
    again = J + tg.sum(named["W1"] ** 2) + tg.sum(named["A1"] * named["A1"])
    again.backward()
    drawing = boxes.Drawing(reachable(again, every=True)[::-1], _names(again))
    for name in ("W1", "A1", "Z1", "b2"):
        total = sum(sent.amount for sent in drawing.arriving[named[name]])
        np.testing.assert_allclose(total, named[name].grad, rtol=1e-14)


def two_results() -> tuple[tg.Value, tg.Value]:
    w, x = tg.Value(3.0, "w"), tg.Value(2.0, "x")
    z = w * x
    b = z**2
    tg.name_values(z=z, b=b)
    return z, b


def test_several_results_are_one_picture_with_the_gradients_of_one_sweep() -> None:
    z, b = two_results()
    a = tg.exp(z - 6.0)
    a.name = "a"
    tg.backward([a, b])
    shown = texts(tg.draw((a, b)).pipe("svg"))
    assert shown.count("26") == 1 == shown.count("39")  # (e⁰ + 2 · 6) times x = 2, w = 3
    assert shown.count("13") == 1
    assert "= 1 + 12" in shown
    assert "Gradients are the derivatives of a + b, as .grad has them." in shown
    drawing = boxes.Drawing(picture._leading_to([a, b]), _names(b), results=[a, b])
    assert [drawing.role(v) for v in (a, b, z)] == ["result", "result", "intermediate"]
    assert tg.draw([b, b]).source == tg.draw(b).source


def test_a_result_that_another_is_computed_from_shows_its_seed_as_part_of_the_sum() -> None:
    z, b = two_results()
    tg.backward([z, b], seeds=[0.5, 2.0])
    shown = texts(tg.draw([z, b]).pipe("svg"))
    assert "= 24 + 0.5" in shown
    assert shown.count("24.5") == 1
    assert "49" in shown
    assert "its .grad is of other sweeps, too" not in shown
    assert "49" not in texts(tg.draw(b).pipe("svg"))  # what came from z's own seed is not b's


@pytest.mark.parametrize("detail", ["lines", "operations", "parts"])
def test_each_of_several_results_has_a_box_of_its_own(detail: str) -> None:
    x = tg.Value([1.0, 2.0], "x")
    hidden = 2.0 * x
    z = tg.sum(hidden * hidden)
    z.name = "z"
    assert tg.draw([hidden, z], detail=detail).source.count(boxes.ROLES["result"].fill) == 3
    folded = tg.draw([hidden, z], max_nodes=1)
    assert folded.folded
    assert folded.source.count(boxes.ROLES["result"].fill) == 3


def test_nothing_at_all_is_no_picture() -> None:
    with pytest.raises(tg.GradError, match="one or more"):
        tg.draw([])
    with pytest.raises(TypeError, match="a Value or a list"):
        tg.draw([tg.Value(1.0), 2.0])


def test_an_operation_is_shown_in_its_parts_with_the_same_gradients() -> None:
    x = tg.Value(0.3, "x")
    z = tg.sigmoid(x)
    z.name = "z"
    z.backward()
    whole, parts_ = (texts(tg.draw(z, detail=d).pipe("svg")) for d in ("operations", "parts"))
    assert "= σ(x)" in whole
    assert not any("exp" in text for text in whole)
    assert any("exp(" in text for text in parts_)
    assert not any(text.startswith("= σ") for text in parts_)  # its slope is one of σ
    assert {"x", "z"} <= set(parts_)
    slope = f"{z.data * (1 - z.data):.4g}"
    assert slope in whole
    assert slope in parts_
    assert z.op is not None
    assert z.op.name == "sigmoid"
    assert len(z.parents) == 1


def test_gradients_of_gradients_are_drawn() -> None:
    x = tg.Value(2.0, "x")
    g = tg.grad(lambda x: x**3)(x)
    g.name = "slope"
    g.backward()
    shown = texts(tg.draw(g).pipe("svg"))
    assert "slope" in shown
    assert shown.count("12") >= 2


def test_a_verdict_is_marked_on_its_node() -> None:
    source = tg.draw(a_net()[0], verdicts={"W1": "wrong: 1/m <missing>", "nobody": "?"}).source
    [box] = [line for line in source.splitlines() if "wrong: 1/m &lt;missing&gt;" in line]
    assert "<B>W¹</B>" in box


def test_a_parameter_replaced_since_is_drawn_with_the_numbers_the_graph_has() -> None:
    w = tg.Value(2.0, "w")
    z = w * 3.0
    w.data = 50.0
    shown = texts(tg.draw(z).pipe("svg"))
    assert "2" in shown
    assert "50" not in shown
    assert "replaced since" in shown


def test_the_legend_names_the_roles_that_occur_and_can_be_left_out() -> None:
    w = tg.Value(2.0, "w")
    shown = texts(tg.draw(w * 3.0).pipe("svg"))
    assert {"parameter", "result", "constant"} <= set(shown)
    assert "input" not in shown
    assert "parameter" not in texts(tg.draw(w * 3.0, legend=False).pipe("svg"))


# --- lines, and the other choices ---------------------------------------------------------------


def test_an_affine_map_is_one_box_and_a_loss_is_one_box_unless_asked() -> None:
    J, named = a_net()
    computed = {v for v in named.values() if v.op is not None}
    drawing = boxes.Drawing(reachable(J, every=True)[::-1], _names(J))
    assert {head for head in drawing.lines if head.op is not None} == computed
    assert tg.draw(J).source.count(" [label=<<TABLE") == 10
    assert tg.draw(J, detail="operations").source.count(" [label=<<TABLE") == 13


def test_without_names_every_operation_is_a_box_but_a_product_in_its_sum() -> None:
    W, X, b = (tg.Value(np.ones(shape)) for shape in ((3, 2), (2, 4), (3, 1)))
    assert tg.draw(tg.sum(tg.tanh(W @ X + b))).source.count(" [label=<<TABLE") == 6
    assert tg.draw(tg.sum(tg.tanh((W @ X) * b))).source.count(" [label=<<TABLE") == 7


def test_a_line_of_many_operations_is_cut() -> None:
    h = tg.Value(0.5, "h0")
    h = tg.tanh(h)
    h.name = "h1"
    for _ in range(50):
        h = h * 2.0
    L = tg.tanh(h)
    L.name = "L"
    drawing = boxes.Drawing(reachable(L, every=True)[::-1], _names(L))
    assert max(map(len, drawing.lines.values())) == lines.LONGEST
    assert sum(map(len, drawing.lines.values())) == len(drawing.nodes)


def test_a_picture_goes_to_the_right_or_down() -> None:
    w = tg.Value(2.0, "w")
    assert "rankdir=LR" in tg.draw(w * 3.0).source
    assert "rankdir=TB" in tg.draw(w * 3.0, direction="down").source


@pytest.mark.parametrize(
    "option, value", [("detail", "all"), ("direction", "left"), ("convention", "auto")]
)
def test_a_choice_that_does_not_exist_is_refused_and_the_others_are_named(
    option: str, value: str
) -> None:
    with pytest.raises(tg.GradError, match=f"{option} is '.* or '.*not '{value}'"):
        tg.draw(tg.Value(1.0), **{option: value})


def test_the_scale_of_the_gradients_is_said_and_is_that_of_the_numbers() -> None:
    J, named = a_net()
    J.backward()
    nodes = reachable(J, every=True)[::-1]
    lecture = boxes.Drawing(nodes, _names(J), convention="lecture")
    for name, factor in (("Z2", 5), ("Z1", 5), ("A1", 5), ("W1", 1), ("b2", 1)):
        v = named[name]
        np.testing.assert_array_equal(lecture.shown(v, v.grad), factor * v.grad)
    shown = [t.replace("\xa0", " ") for t in texts(tg.draw(J, convention="lecture").pipe("svg"))]
    assert shown.count("m · grad") == 3
    assert "dZ2 = σ(Z2) − Y" in shown
    assert "The lecture's scale: dZ2, dA1, dZ1 are m times the" in " ".join(shown)
    calculus = texts(tg.draw(J).pipe("svg"))
    assert "m · grad" not in calculus
    assert "Gradients are the derivatives of J, as .grad has them." in calculus


def test_the_caption_calls_a_result_without_a_name_as_its_box_does() -> None:
    x = tg.Value(0.5, "x")
    z = tg.tanh(3 * x) ** 2
    z.backward()
    shown = texts(tg.draw(z).pipe("svg"))
    [caption] = [text for text in shown if "derivatives of" in text]
    called = re.search(r"derivatives of (\w+),", caption)[1]
    assert called != "J"
    assert any(text.startswith(called) for text in shown)


def test_no_letter_is_smaller_than_12_px_at_the_size_of_the_picture() -> None:
    J, _ = a_net()
    J.backward()
    for direction in ("right", "down"):
        svg = tg.draw(J, direction=direction).pipe("svg", encoding="utf-8")
        width, box = re.search(
            r'width="(\d+)pt".*?viewBox="0.00 0.00 (\d+)', svg, re.DOTALL
        ).groups()
        sizes = {float(size) for size in re.findall(r'font-size="([\d.]+)"', svg)}
        assert min(sizes) * int(width) / int(box) * 96 / 72 >= 12


@pytest.mark.parametrize("direction", ["right", "down"])
def test_no_arrow_crosses_the_title_of_a_layer(direction: str) -> None:
    J, _ = a_net()
    J.backward()
    root = ET.fromstring(tg.draw(J, direction=direction).pipe("svg"))
    titles = [t for t in root.iter(f"{SVG}text") if (t.text or "").startswith("layer ")]
    assert len(titles) == 2
    left, base = np.array([(float(t.get("x", 0)), float(t.get("y", 0))) for t in titles]).T
    t = np.linspace(0, 1, 20)[:, None]
    bernstein = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    for arrow in (g for g in root.iter(f"{SVG}g") if g.get("class") == "edge"):
        for path in arrow.iter(f"{SVG}path"):
            ends = [at.split(",") for at in re.findall(r"[-\d.]+,[-\d.]+", path.get("d", ""))]
            for i in range(0, len(ends) - 1, 3):
                x, y = (bernstein @ np.array(ends[i : i + 4], float)).T[..., None]
                assert not np.any((left < x) & (x < left + 36) & (base - 10 < y) & (y < base + 3))


def test_a_folded_part_of_a_folded_part_is_titled_by_its_ends() -> None:
    A = tg.Value(np.ones((2, 3)), "X", requires_grad=False)
    for layer in range(1, 21):
        A = tg.tanh(tg.Value(np.eye(2), f"W{layer}") @ A)
        A.name = f"A{layer}"
    titles = re.findall("<B>(layer [^<]*)</B>", tg.draw(tg.sum(A), max_nodes=6).source)
    assert titles == ["layer 1 … layer 3", "layer 4 … layer 19", "layer 20"]


def test_fonts_have_fallbacks() -> None:
    svg = tg.draw(tg.Value(1.0, "w")).pipe("svg", encoding="utf-8")
    fonts = set(re.findall('font-family="([^"]*)"', svg))
    assert all(font.startswith("Arial,") and font.endswith("sans-serif") for font in fonts)


def test_the_captions_are_said_in_persian_too() -> None:
    w = tg.Value(2.0, "w")
    shown = texts(tg.draw(w * 3.0, language="fa").pipe("svg"))
    assert "پارامتر" in shown
    assert "parameter" not in shown


# --- names that mean something to Graphviz -------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("plain", [False, True], ids=["tables", "plain"])
@pytest.mark.one_in(3)
def test_a_hostile_name_is_harmless_and_legible(
    name: str, plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if plain:
        monkeypatch.setattr(picture, "PLAIN", 1)
    z = tg.Value(3.0, name) * 2.0
    z.name = name
    svg = tg.draw(z, max_nodes=None).pipe("svg")
    assert parts(svg, "node") == 3
    root = ET.fromstring(svg)
    assert not list(root.iter(f"{SVG}a"))
    assert not list(root.iter(f"{SVG}script"))
    shown = "".join(texts(svg)).replace("\u00a0", " ")
    shown = shown.replace("\u2068", "").replace("\u2069", "")  # keep Persian names apart
    start = name[:30]
    if not start.isprintable():
        start = start.encode("unicode_escape").decode()
    assert start.strip() in shown
    assert len(shown) < 500


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.one_in(3)
def test_a_hostile_name_is_harmless_in_a_folded_box_and_as_a_prefix(name: str) -> None:
    h = tg.Value(3.0, name)
    for i in range(12):
        h = h * 2.0
        h.name = f"{name}.{i}"
    svg = tg.draw(h, max_nodes=5).pipe("svg")
    assert not list(ET.fromstring(svg).iter(f"{SVG}script"))


# --- large graphs --------------------------------------------------------------------------------


def a_chain(n: int) -> tg.Value:
    w, b, h = tg.Value(0.9, "w"), tg.Value(0.1, "b"), tg.Value(1.0, "h0")
    for _ in range(n):
        h = tg.tanh(w * h + b)
    return h


def test_a_leaf_used_often_is_drawn_again_small_at_each_use() -> None:
    source = tg.draw(a_chain(40), max_nodes=None).source
    assert len(re.findall(r"^\tr\d+_\d+ \[", source, re.MULTILINE)) == 80
    assert not any(tail in ("n0", "n1") for tail, _ in links(source))
    assert parts(tg.draw(a_chain(100), max_nodes=None).pipe("svg"), "edge") == 1000


def test_a_folded_box_tells_what_is_in_it_and_how_large_the_gradients_are() -> None:
    h = a_chain(100)
    h.backward()
    w = next(v for v in reachable(h) if v.name == "w")
    shown = texts(tg.draw(h).pipe("svg"))
    assert {"99 × (∗ + tanh)", "99 *, 99 +, 99 tanh"} <= set(shown)
    assert any(t.endswith(f"‖grad‖ {w.grad:.4g}") for t in shown)
    assert {"v300", "= w * v299"} <= {t.strip() for t in shown}  # v299 is in the folded box


def test_a_large_graph_is_folded_and_says_so() -> None:
    h = a_chain(100)
    drawn = tg.draw(h)
    assert "303 values, folded into" in drawn.folded
    assert any("303 values" in t for t in texts(drawn.pipe("svg")))
    assert tg.draw(h, max_nodes=None).folded == "" == tg.draw(h, max_nodes=303).folded


@pytest.mark.parametrize("limit", [1, 5, 20, 100])
def test_folding_keeps_every_value_once_and_about_the_limit(limit: int) -> None:
    rng = np.random.default_rng(limit)
    values = [tg.Value(float(i), f"w{i}" if i % 2 else None) for i in range(30)]
    for _ in range(600):
        a, b = (values[i] for i in rng.integers(0, len(values), 2))
        values.append([a * b, a + b, tg.tanh(a)][rng.integers(3)])
    total = values[0]
    for v in values[-50:]:
        total = total + v
    nodes = reachable(total, every=True)[::-1]
    groups = folding.fold(nodes, {v: v.name for v in nodes if v.name}, limit, {total})
    members = [node for group in groups for node in group.members]
    assert len(members) == len(set(members))
    assert set(members) == set(nodes)
    assert len(groups) <= max(limit, 4)
    assert [group.members for group in groups if total in group.members] == [[total]]


def test_deep_layers_fold_but_for_the_first_and_the_last() -> None:
    A = tg.Value(np.ones((4, 5)), "X", requires_grad=False)
    for i in range(1, 61):
        W = tg.Value(np.eye(4) * 0.5, f"W{i}")
        Z = W @ A
        A = tg.tanh(Z)
        Z.name, A.name = f"Z{i}", f"A{i}"
    shown = texts(tg.draw(tg.mean(A), max_nodes=50).pipe("svg"))
    assert {"layer 3", "layer 4 … layer 57", "layer 58"} <= set(shown)


@pytest.mark.slow
def test_a_long_chain_is_drawn_folded_and_as_text() -> None:
    h = tg.Value(1.0)
    for _ in range(30_000):
        h = h + 1.0
    assert len(texts(tg.draw(h).pipe("svg"))) < 60
    assert tg.draw(h, max_nodes=None).source.count(" -> ") == 60_000


def test_plain_text_too_has_both_edges_of_x_times_x(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "PLAIN", 1)
    x = tg.Value(3.0, "x")
    assert links(tg.draw(x * x, max_nodes=None).source).count(("n0", "n1")) == 2
    assert parts(tg.draw(x * x, max_nodes=None).pipe("svg"), "edge") == 2


def test_the_plain_text_of_a_large_graph_has_every_value_gradient_and_edge() -> None:
    h = a_chain(400)
    h.backward()
    drawn = tg.draw(h, max_nodes=None)
    assert drawn.folded == ""
    assert drawn.source.count("grad ") == 1203
    assert drawn.source.count(" -> ") == 400 * (2 + 2 + 1)  # the inputs of w * h, + b, tanh


def test_in_the_plain_text_of_arrays_only_what_was_asked_for_is_a_result() -> None:
    h = tg.Value(np.zeros(3), "h")  # every value of the chain has the same numbers
    for _ in range(picture.PLAIN):
        h = h * 1.0
    assert tg.draw(h, max_nodes=None).source.count(boxes.ROLES["result"].fill) == 1


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "suffix, start", [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".dot", b"digraph")]
)
def test_a_picture_is_written_by_suffix(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tg.render(a_net()[0], tmp_path / f"گراف یک{suffix}")
    assert path.read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_unknown_suffix_is_refused_and_nothing_written(tmp_path: Path) -> None:
    for name in ("graph.txt", "graph", "graph.py"):
        with pytest.raises(tg.GradError, match="suffix"):
            tg.render(a_net()[0], tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*missing"):
        tg.render(a_net()[0], tmp_path / "missing" / "graph.svg")
    assert not list(tmp_path.iterdir())


def test_a_failed_drawing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "graph.svg"
    path.write_text("old")
    monkeypatch.setattr(renderer, "system_dot", lambda: "/bin/false")
    with pytest.raises(tg.GradError, match="could not draw"):
        tg.render(a_net()[0], path)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_name_is_never_a_command(tmp_path: Path) -> None:
    tg.render(a_net()[0], tmp_path / "g; touch evil; .svg")
    assert [p.name for p in tmp_path.iterdir()] == ["g; touch evil; .svg"]


def test_digraph_render_writes_only_the_picture(tmp_path: Path) -> None:
    written = tg.draw(a_net()[0]).render(tmp_path / "graph", format="png")
    assert written == str(tmp_path / "graph.png")
    assert [p.name for p in tmp_path.iterdir()] == ["graph.png"]


def test_a_layout_that_takes_too_long_is_stopped_and_names_max_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "dot"
    slow.write_text(f"#!{sys.executable}\nimport time; time.sleep(60)\n")
    slow.chmod(0o755)
    monkeypatch.setattr(renderer, "system_dot", lambda: str(slow))
    monkeypatch.setattr(renderer, "TIMEOUT", 0.2)
    with pytest.raises(tg.GradError, match="max_nodes="):
        tg.draw(tg.Value(1.0)).pipe("svg")


def test_a_layout_that_takes_too_long_is_tried_with_straight_edges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dot = tmp_path / "dot"
    dot.write_text(
        '#!/bin/sh\ncase "$*" in *splines=line*) echo "<svg/>";; *) exec sleep 60;; esac\n'
    )
    dot.chmod(0o755)
    monkeypatch.setattr(renderer, "system_dot", lambda: str(dot))
    monkeypatch.setattr(renderer, "TIMEOUT", 0.5)
    assert renderer.to_bytes("digraph {}", "svg") == b"<svg/>\n"


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("echo broken >&2; exit 1", "broken"),
        ("exit 0", "no output"),
        ("echo garbage", "no svg"),
        ("kill -9 $$", "no output"),
        ("exec sleep 60", "max_nodes"),
    ],
)
def test_a_broken_dot_is_told_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, says: str
) -> None:
    (tmp_path / "bin").mkdir()
    dot = tmp_path / "bin" / "dot"
    dot.write_text(f"#!/bin/sh\n{does}\n")
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", f"{dot.parent}:/usr/bin:/bin")
    monkeypatch.setattr(renderer, "TIMEOUT", 0.5)
    old = tmp_path / "graph.svg"
    old.write_text("old")
    with pytest.raises(tg.GradError, match=says):
        tg.render(tg.Value(1.0, "x") * 2, old)
    assert old.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"bin", "graph.svg"}


def test_without_any_renderer_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(renderer, "system_dot", lambda: None)
    with pytest.raises(tg.GradError, match="pdf needs the system's Graphviz"):
        tg.draw(tg.Value(1.0)).pipe("pdf")
    monkeypatch.setattr(renderer, "pip_dot", lambda: None)
    with pytest.raises(tg.GradError, match="pip install graphviz-pure"):
        tg.draw(tg.Value(1.0)).pipe("svg")


def test_the_pip_renderer_is_found_beside_the_interpreter_without_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    assert tg.draw(tg.Value(1.0)).pipe("svg").startswith(b"<?xml")


def test_where_letters_would_come_out_as_boxes_a_warning_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(renderer, "system_dot", lambda: None)
    monkeypatch.setattr(renderer, "_resvg", lambda: None)
    picture = tg.draw(tg.Value(1.0, "وزن"))
    with pytest.warns(RuntimeWarning, match=r"وزن cannot be drawn in png.*apt install graphviz"):
        assert picture.pipe("png").startswith(b"\x89PNG")
    picture.pipe("svg")  # a browser has the letters: a warning would be an error here
    tg.draw(tg.Value(1.0, "σ̂ᶻ_Ж")).pipe("png")


def test_persian_letters_are_drawn_in_png_with_the_fonts_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("resvg_py", reason="needs resvg (pip install resvg-py)")
    monkeypatch.setattr(renderer, "system_dot", lambda: None)
    drawn = tg.draw(tg.Value(1.0, "وزن")).pipe("png")  # a warning would be an error here
    assert drawn.startswith(b"\x89PNG")
    assert drawn != tg.draw(tg.Value(1.0, "ززز")).pipe("png")


@pytest.mark.dot
@pytest.mark.skipif(shutil.which("dot") is None, reason="needs the system's Graphviz")
def test_the_system_graphviz_draws_pdf(tmp_path: Path) -> None:
    assert tg.render(a_net()[0], tmp_path / "graph.pdf").read_bytes().startswith(b"%PDF")


def test_a_notebook_shows_the_picture_as_svg() -> None:
    bundle = tg.draw(a_net()[0])._repr_mimebundle_()
    assert "<svg" in bundle["image/svg+xml"]


_RUN_CELLS = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

shell = InteractiveShell()
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        with capture_output() as shown:
            shell.run_cell("".join(cell["source"])).raise_error()
        data, _ = shell.display_formatter.format(shell.user_ns["_"])
        print(json.dumps(data))
"""


@pytest.mark.slow
def test_the_notebook_runs_and_everything_shows_itself(tmp_path: Path) -> None:
    pytest.importorskip("IPython", reason="needs IPython (pip install ipython)")
    notebook = Path(__file__).parent.parent / "examples" / "notebook.ipynb"
    done = subprocess.run(
        [sys.executable, "-c", _RUN_CELLS, notebook],
        capture_output=True, text=True, encoding="utf-8", timeout=60,
        env={**os.environ, "IPYTHONDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    value, neuron, net, derivation, comparison, *_ = map(json.loads, done.stdout.splitlines())
    assert "name='a'" in value["text/plain"]
    assert "<svg" in neuron["image/svg+xml"]
    assert "layer 2" in net["image/svg+xml"]
    assert "dZ" in derivation["text/latex"]
    assert "wrong" in comparison["text/html"]


def test_importing_the_package_does_not_import_graphviz() -> None:
    code = "import sys, tinygrad_edu; sys.exit('graphviz' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
