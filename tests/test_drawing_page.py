"""The step-through page: what it says, that no name can act, and how it behaves in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, browser, in_a_browser

import tinygrad_edu as tg

HOSTILE = [
    "</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<!--", "]]>", "\\",
    "'", "{{SCRIPT}}", "\u2028", "\u202eabc", "&lt;b&gt;", "<math><mi>x</mi></math>", "\0",
    "x" * 10_000,
]  # fmt: skip


def a_net() -> tg.Value:
    rng = np.random.default_rng(5)
    X = tg.Value(rng.normal(size=(2, 5)), "X", requires_grad=False)
    Y = tg.Value(rng.integers(0, 2, (1, 5)), "Y", requires_grad=False)
    W1, b1 = tg.Value(rng.normal(size=(3, 2)), "W1"), tg.Value(rng.normal(size=(3, 1)), "b1")
    W2, b2 = tg.Value(rng.normal(size=(1, 3)), "W2"), tg.Value(rng.normal(size=(1, 1)), "b2")
    Z1 = W1 @ X + b1
    A1 = tg.tanh(Z1)
    Z2 = W2 @ A1 + b2
    J = tg.mean(tg.binary_cross_entropy(Z2, Y, from_logits=True))
    tg.name_values(Z1=Z1, A1=A1, Z2=Z2, J=J)
    return J


def a_fan_out() -> tuple[tg.Value, tg.Value]:
    """x used three times, twice by one operation."""
    x = tg.Value(1.5, "x")
    y = tg.tanh(x) + x * x
    y.name = "y"
    return x, y


class Tags(HTMLParser):
    """Every element of a page, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.scripts: list[str] = []
        self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data


def written(cost: Any, folder: Path, **options: Any) -> tuple[str, Any]:
    """The page as text, and the data in it."""
    page = tg.render(cost, folder / "page.html", **options).read_text("utf-8")
    return page, json.loads(Tags(page).scripts[0])


def plain(x: Any) -> Any:
    return np.array(x["data"], dtype=float).reshape(x["shape"]) if isinstance(x, dict) else float(x)


# --- what it says --------------------------------------------------------------------------------


def test_the_numbers_of_the_page_are_those_of_the_graph(tmp_path: Path) -> None:
    J = a_net()
    J.backward()
    _, data = written(J, tmp_path)
    values = {node["name"]: node for node in data["nodes"]}
    stack, seen = [J], set()
    while stack:
        v = stack.pop()
        stack += [p for p in v.parents if p not in seen]
        seen.add(v)
        if v.name and v.requires_grad:
            told = values[v.name.replace("1", "¹").replace("2", "²")]
            np.testing.assert_array_equal(plain(told["value"]), v.data)
            np.testing.assert_array_equal(plain(told["grad"]), v.grad)


def test_steps_go_forward_then_backward_through_every_line(tmp_path: Path) -> None:
    J = a_net()
    J.backward()
    _, data = written(J, tmp_path)
    kinds = [step["kind"] for step in data["steps"]]
    assert kinds == ["given"] + ["forward"] * 4 + ["seed"] + ["backward"] * 4  # Z1, A1, Z2, J
    order = [step["node"] for step in data["steps"] if step["kind"] == "forward"]
    back = [step["node"] for step in data["steps"] if step["kind"] == "backward"]
    assert order == sorted(order)
    assert back == order[::-1]


def test_contributions_add_up_to_the_gradient_edge_by_edge(tmp_path: Path) -> None:
    x, y = a_fan_out()
    y.backward(2.0)
    _, data = written(y, tmp_path)
    sent = [
        c for s in data["steps"] for c in s.get("sent", ()) if data["nodes"][c["to"]]["name"] == "x"
    ]
    assert [(c["count"], c["of"]) for c in sent] == [(1, 3), (2, 3), (3, 3)]
    assert sent[-1]["total"] == x.grad
    assert sum(c["amount"] for c in sent) == pytest.approx(x.grad, rel=1e-15)
    assert sorted(c["amount"] for c in sent)[1:] == [3.0, 3.0]
    locals_ = sorted(c["local"]["value"] for c in sent)
    assert locals_ == pytest.approx([1 - np.tanh(1.5) ** 2, 1.5, 1.5])


def test_several_results_are_each_begun_with_and_a_seed_counts_in_the_sum(tmp_path: Path) -> None:
    x = tg.Value(3.0, "x")
    z = 2.0 * x
    a, b = z**2, tg.exp(z - 6.0)
    tg.name_values(z=z, a=a, b=b)
    tg.backward([z, a, b], seeds=[10.0, 1.0, 1.0])
    _, data = written([z, a, b], tmp_path)
    names = [node["name"] for node in data["nodes"]]
    assert {names[s["node"]] for s in data["steps"] if s["kind"] == "seed"} == {"a", "b"}
    totals = [c["total"] for s in data["steps"] for c in s.get("sent", ()) if names[c["to"]] == "z"]
    assert sorted(totals)[-1] == z.grad == 10.0 + 12.0 + 1.0
    assert len(totals) == 2
    assert None not in totals


def backward_step(data: Any, name: str) -> Any:
    """What the line of a value sends back, by the name of what it is sent to."""
    [step] = [
        step
        for step in data["steps"]
        if step["kind"] == "backward" and data["nodes"][step["node"]]["name"] == name
    ]
    return {data["nodes"][sent["to"]]["name"]: sent for sent in step["sent"]}


def test_the_local_derivative_of_a_product_is_the_other_factor_transposed_and_its_side(
    tmp_path: Path,
) -> None:
    J = a_net()
    J.backward()
    _, data = written(J, tmp_path)
    sent = backward_step(data, "Z²")
    values = {node["name"]: plain(node["value"]) for node in data["nodes"]}
    for to, side, other in (("W²", "right", "A¹"), ("A¹", "left", "W²")):
        assert sent[to]["local"]["side"] == side
        np.testing.assert_array_equal(plain(sent[to]["local"]["value"]), values[other].T)
    assert sent["b²"]["local"]["side"] == ""
    assert set(plain(sent["b²"]["local"]["value"]).ravel()) == {1.0}


def test_the_loss_and_the_sigmoid_give_a_minus_y(tmp_path: Path) -> None:
    """Two steps with their factors, and what they come to; the explanation has the algebra."""
    X = tg.Value(np.array([[0.3, -1.2, 0.8], [0.5, 0.1, -0.7]]), "X", requires_grad=False)
    y = tg.Value(np.array([[1.0, 0, 1]]), "Y", requires_grad=False)
    Z2 = tg.Value(np.array([[0.4, -0.9]]), "W2") @ X + tg.Value(0.2, "b2")
    a = tg.sigmoid(Z2)
    J = tg.mean(tg.binary_cross_entropy(a, y))
    tg.name_values(Z2=Z2, A2=a, J=J)
    J.backward()
    _, data = written(J, tmp_path, convention="lecture")
    of_loss, of_sigmoid = backward_step(data, "J")["A²"], backward_step(data, "A²")["Z²"]
    A, Y = a.data, y.data
    np.testing.assert_allclose(plain(of_loss["amount"]), (1 - Y) / (1 - A) - Y / A, rtol=1e-14)
    np.testing.assert_allclose(plain(of_sigmoid["local"]["value"]), A * (1 - A), rtol=1e-14)
    assert re.sub("<.*?>", "", of_sigmoid["local"]["math"]) == "A[2]∗(1−A[2])"
    np.testing.assert_allclose(plain(of_sigmoid["amount"]), A - Y, rtol=1e-14)
    assert re.sub("<.*?>", "", of_sigmoid["whole"]) == "dZ[2]=A[2]−Y"
    why = re.sub("<.*?>", "", next(n["why"] for n in data["nodes"] if n["name"] == "Z²"))
    assert "multiplied out" in why


def test_before_backward_the_page_says_so_and_has_no_backward_steps(tmp_path: Path) -> None:
    page, data = written(a_net(), tmp_path)
    assert "Gradients are not computed yet" in page
    assert {step["kind"] for step in data["steps"]} == {"given", "forward"}
    assert all(node["grad"] is None for node in data["nodes"])


def test_the_page_is_the_same_every_time(tmp_path: Path) -> None:
    assert written(a_net(), tmp_path)[0] == written(a_net(), tmp_path)[0]


def test_nan_and_infinity_are_told(tmp_path: Path) -> None:
    v = tg.Value(np.array([np.nan, np.inf, -np.inf]), "v")
    with np.errstate(all="ignore"):
        z = tg.sum(v)
    _, data = written(z, tmp_path)
    assert data["nodes"][0]["value"]["data"] == ["nan", "inf", "-inf"]


def test_a_folded_graph_is_stepped_through_value_by_value(tmp_path: Path) -> None:
    h = tg.Value(1.0, "h0")
    for _ in range(150):
        h = tg.tanh(h * 0.5)
    h.backward()
    page, data = written(h, tmp_path)
    assert len(data["steps"]) == 602
    assert "values, folded into" in page
    assert {node["box"][0] for node in data["nodes"]} == {"g", "n"}


def test_more_steps_than_anybody_walks_are_refused(tmp_path: Path) -> None:
    h = tg.Value(1.0)
    for _ in range(3000):
        h = h + 1.0
    with pytest.raises(tg.GradError, match="too many to step through"):
        tg.render(h, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


# --- nothing but itself --------------------------------------------------------------------------


def test_the_page_asks_for_nothing_and_runs_nothing_but_its_script(tmp_path: Path) -> None:
    page, _ = written(a_net(), tmp_path)
    tags = Tags(page)
    assert not [a for _, a in tags.tags if {"src", "href", "action", "data"} & set(a)]
    assert not re.search(r"@import|url\(", page)
    [policy] = [a["content"] for tag, a in tags.tags if "http-equiv" in a]
    digest = base64.b64encode(hashlib.sha256(tags.scripts[1].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_becomes_markup(name: str, tmp_path: Path) -> None:
    def drawn(name: str) -> tuple[list[tuple[str, Any]], Any]:
        z = tg.Value(2.0, name) * 3.0
        z.backward()
        page, data = written(z, tmp_path, title=name)
        return Tags(page).tags, data

    tags, data = drawn(name)
    plain_tags, _ = drawn("w")
    # A long formula has more rows of text.
    assert [t for t, _ in tags if t != "text"] == [t for t, _ in plain_tags if t != "text"]
    assert not [k for _, a in tags for k in a if k.startswith("on")]
    for node in data["nodes"]:
        for key in ("math", "formula", "gradient", "derived", "why"):
            allowed = {"math", "mi", "mn", "mo", "msup", "mrow", "mfrac", "mspace", "mtext"}
            allowed |= {"section", "p"} if key == "why" else set()
            assert {tag for tag, _ in Tags(node[key] or "").tags} <= allowed


# --- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as b:
        yield b


@pytest.fixture
def page(tab: Browser) -> Iterator[Browser]:
    """A tab that must stay silent and ask for nothing but the file it shows."""
    tab.complaints.clear()
    tab.requests.clear()
    yield tab
    assert tab.complaints == []
    assert all(url.startswith("file://") for url in tab.requests)
    assert len(tab.requests) <= 1


def count(page: Browser) -> str:
    return str(page.ask("document.querySelector('#count').textContent"))


@in_a_browser
def test_every_step_is_reached_by_click_and_by_key(page: Browser, tmp_path: Path) -> None:
    J = a_net()
    J.backward()
    page.open(tg.render(J, tmp_path / "page.html"))
    expected = [f"forward {i} of 5" for i in range(1, 6)] + [
        f"backward {i} of 5" for i in range(1, 6)
    ]
    clicked, pressed, headings = [count(page)], [], []
    for _ in expected[1:]:
        page.click("#next")
        clicked.append(count(page))
    page.click("#next")  # the last step stays the last
    assert count(page) == expected[-1]
    for _ in expected:
        pressed.append(count(page))
        headings.append(page.ask("document.querySelector('#step h2').textContent"))
        page.key("ArrowLeft", 37)
    assert clicked == expected == pressed[::-1]
    assert len(set(headings)) == len(headings)
    page.key("End", 35)
    assert count(page) == expected[-1]
    page.key("Home", 36)
    assert count(page) == expected[0]
    page.click("#last")
    page.click("#back")
    assert count(page) == expected[-2]
    page.ask("document.querySelector('#slider').value = 3")
    page.ask("document.querySelector('#slider').dispatchEvent(new Event('input'))")
    assert count(page) == expected[3]


@in_a_browser
def test_the_numbers_shown_are_the_gradients_and_add_up(page: Browser, tmp_path: Path) -> None:
    x, y = a_fan_out()
    y.backward()
    page.open(tg.render(y, tmp_path / "page.html"))
    page.key("End", 35)
    page.click("#n0")
    shown = page.ask("[...document.querySelectorAll('#node .number')].map(e => e.dataset.value)")
    assert [float(v) for v in shown[:2]] == [x.data, x.grad]
    *sent, total = [float(v) for v in shown[2:]]
    assert len(sent) == 3
    assert total == x.grad
    assert sum(sent) == pytest.approx(x.grad, rel=1e-15)
    assert page.ask("document.querySelector('#node h2').textContent") == "x"
    page.click("#n3")
    assert page.ask("document.querySelector('#node h2').textContent") == "y"


@in_a_browser
def test_each_array_is_shown_number_by_number_on_hovering(page: Browser, tmp_path: Path) -> None:
    J = a_net()
    J.backward()
    W1 = next(v for v in _all(J) if v.name == "W1")
    path = tg.render(J, tmp_path / "page.html")
    _, data = written(J, tmp_path)
    i = next(i for i, node in enumerate(data["nodes"]) if node["name"] == "W¹")
    page.open(path)
    page.key("End", 35)
    page.ask(f"document.querySelector('#n{i}').focus()")
    page.key("Enter", 13)
    cells = page.ask(
        "[...document.querySelectorAll('#node > dl table')].map("
        "t => [...t.querySelectorAll('td')].map(c => Number(c.title)))"
    )
    assert cells == [W1.data.ravel().tolist(), W1.grad.ravel().tolist()]


def _all(root: tg.Value) -> list[tg.Value]:
    found, stack = {root}, [root]
    while stack:
        for parent in stack.pop().parents:
            if parent not in found:
                found.add(parent)
                stack.append(parent)
    return list(found)


@in_a_browser
def test_the_current_node_and_its_edges_are_lit(page: Browser, tmp_path: Path) -> None:
    _, y = a_fan_out()
    y.backward()
    page.open(tg.render(y, tmp_path / "page.html"))
    lit = "[...document.querySelectorAll('.lit')].map(e => e.id).sort()"
    assert page.ask(lit) == ["n0"]
    page.click("#next")
    assert page.ask(lit) == ["f1_0", "n1"]
    page.click("#next")
    assert page.ask(lit) == ["f2_0", "f2_1", "n2"]
    page.key("End", 35)
    assert page.ask(lit) == ["b1_0", "n1"]


@in_a_browser
@pytest.mark.parametrize("system", [True, False])
def test_lit_is_the_frame_of_a_box_and_not_its_heat_map(
    page: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: bool
) -> None:
    if not system:
        monkeypatch.setattr("tinygrad_edu.drawing.renderer.system_dot", lambda: None)
    J = a_net()
    J.backward()
    page.open(tg.render(J, tmp_path / "page.html"))
    for step in range(10):
        page.ask(f"go({step})")
        strokes = (
            "[...document.querySelectorAll('g.node[id^=n].lit *')].filter(e =>"
            " getComputedStyle(e).stroke === 'rgb(242, 169, 0)')"
        )
        boxes = page.ask("document.querySelectorAll('g.node[id^=n].lit').length")
        assert page.ask(f"{strokes}.length") == boxes > 0
        whole = f"{strokes}.every(e => e.getBBox().width > 0.8 * e.parentNode.getBBox().width)"
        assert page.ask(whole)


@in_a_browser
@pytest.mark.parametrize("width", [1280, 1920])
def test_the_letters_of_a_step_are_at_least_12_px_high(
    page: Browser, tmp_path: Path, width: int
) -> None:
    J = a_net()
    J.backward()
    page.open(tg.render(J, tmp_path / "page.html"))
    page.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
        mobile=False,
    )  # fmt: skip
    for step in range(1, 10):
        page.ask(f"go({step})")
        size = (
            "Math.min(...[...document.querySelectorAll('g.node.lit text')].map(t =>"
            " parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a))"
        )
        assert page.ask(size) >= 11.9
    page.call("Emulation.clearDeviceMetricsOverride")


@in_a_browser
@pytest.mark.parametrize("size", [(1400, 850), (700, 500)])
def test_the_legend_hides_nothing_of_the_graph(
    page: Browser, tmp_path: Path, size: tuple[int, int]
) -> None:
    page.open(tg.render(a_net(), tmp_path / "page.html"))
    width, height = size
    page.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
        mobile=False,
    )  # fmt: skip
    page.click("#fit")
    boxes = "[...document.querySelectorAll('g.node')].map(e => e.getBoundingClientRect().bottom)"
    legend = "document.querySelector('.legend').getBoundingClientRect().top"
    assert max(page.ask(boxes)) <= page.ask(legend)
    page.call("Emulation.clearDeviceMetricsOverride")


@in_a_browser
@pytest.mark.parametrize("system", [True, False])
def test_a_gradient_appears_when_the_backward_pass_reaches_it(
    page: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: bool
) -> None:
    """In its box, on the edges back, and in the panel: x gets its last share at the very end."""
    if not system:
        monkeypatch.setattr("tinygrad_edu.drawing.renderer.system_dot", lambda: None)
    x, y = a_fan_out()
    y.backward()
    page.open(tg.render(y, tmp_path / "page.html"))
    page.click("#n0")
    visible = (
        "[...document.querySelectorAll('g.gradient, g.edge[id^=b]')]"
        ".filter(e => getComputedStyle(e).visibility === 'visible')"
    )
    told = "[...document.querySelectorAll('#node .number')].map(e => Number(e.dataset.value))"
    in_boxes, on_edges, panel = [], [], []
    for _ in range(8):
        in_boxes.append(page.ask(f"[...new Set({visible}.flatMap(e => [...e.classList]))].sort()"))
        on_edges.append(page.ask(f"{visible}.filter(e => e.id).length"))
        panel.append(page.ask(told))
        page.key("ArrowRight", 39)
    boxes = [[c for c in classes if c[0] == "n"] for classes in in_boxes]
    assert boxes[:4] == [[]] * 4
    assert boxes[4:] == [["n3"], ["n1", "n2", "n3"], ["n1", "n2", "n3"], ["n0", "n1", "n2", "n3"]]
    assert on_edges == [0, 0, 0, 0, 0, 2, 4, 5]
    assert panel[:6] == [[x.data]] * 6
    assert panel[6] == [x.data, 1.5, 1.5, 3.0]  # two contributions, and the sum so far
    assert panel[7][:2] == [x.data, x.grad]
    page.key("Home", 36)
    assert page.ask(f"{visible}.length") == 0


@in_a_browser
def test_in_a_folded_graph_too_gradients_wait_for_the_backward_pass(
    page: Browser, tmp_path: Path
) -> None:
    h = tg.Value(1.0, "h0")
    for _ in range(150):
        h = tg.tanh(h * tg.Value(0.5))
    h.backward()
    page.open(tg.render(h, tmp_path / "page.html"))
    waiting = "document.querySelectorAll('.ahead').length"
    told = (
        "[...document.querySelectorAll('g.node:not(.ahead) text')].filter(e =>"
        " e.textContent.includes('grad') && getComputedStyle(e).visibility === 'visible').length"
    )
    assert page.ask(waiting) > 10
    assert page.ask(told) == 0
    page.key("End", 35)
    assert page.ask(waiting) == 0
    assert page.ask(told) > 3  # the values that stand alone, and the folded parameters


@in_a_browser
def test_play_goes_on_by_itself_and_stops(page: Browser, tmp_path: Path) -> None:
    page.open(tg.render(a_fan_out()[1], tmp_path / "page.html"))
    page.ask("window.setInterval = (f) => { window.tick = f; return 1; }")
    page.click("#play")
    assert page.ask("document.querySelector('#play').getAttribute('aria-pressed')") == "true"
    for _ in range(3):
        page.ask("tick()")
    assert count(page) == "forward 4 of 4"
    assert page.ask("document.querySelector('#play').getAttribute('aria-pressed')") == "false"


@in_a_browser
def test_the_picture_zooms_and_moves(page: Browser, tmp_path: Path) -> None:
    page.open(tg.render(a_fan_out()[1], tmp_path / "page.html"))
    box = "document.querySelector('#graph').getAttribute('viewBox')"
    before = page.ask(box)
    page.key("+", 187)
    closer = page.ask(box)
    assert float(closer.split()[2]) < float(before.split()[2])
    page.call("Input.dispatchMouseEvent", type="mousePressed", x=300, y=600, button="left")
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=360, y=640, button="left")
    page.call("Input.dispatchMouseEvent", type="mouseReleased", x=360, y=640, button="left")
    assert page.ask(box) != closer
    page.key("0", 48)
    whole = [float(v) for v in page.ask(box).split()]
    assert whole == pytest.approx([float(v) for v in before.split()])


@in_a_browser
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.one_in(4)
def test_a_hostile_name_does_nothing_in_a_browser(page: Browser, tmp_path: Path, name: str) -> None:
    z = tg.Value(2.0, name) * 3.0
    z.name = name
    z.backward()
    page.open(tg.render(z, tmp_path / "page.html", title=name))
    page.click("#last")
    page.click("#n0")
    assert page.ask("document.querySelectorAll('img, script:not([id])').length") == 1
    assert page.ask("document.querySelector('#node h2').textContent.length") > 0


@in_a_browser
def test_persian_is_set_from_right_to_left(page: Browser, tmp_path: Path) -> None:
    w = tg.Value(2.0, "وزن")
    page.open(tg.render(w * 3.0, tmp_path / "page.html", title="یک نورون، گام به گام"))
    assert page.ask("getComputedStyle(document.querySelector('h1')).direction") == "rtl"
    assert page.ask("document.querySelector('#step bdi').textContent") == "وزن"
    assert "وزن" in page.ask("document.querySelector('#graph').textContent")


@in_a_browser
def test_light_and_dark(page: Browser, tmp_path: Path) -> None:
    path = tg.render(a_fan_out()[1], tmp_path / "page.html")
    colours = []
    for dark in (False, True):
        page.requests.clear()
        page.open(path, dark=dark)
        colours.append(page.ask("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(255, 255, 255)", "rgb(22, 24, 29)"]


@in_a_browser
def test_every_box_and_control_has_a_name_and_is_reached_with_tab(
    page: Browser, tmp_path: Path
) -> None:
    _, y = a_fan_out()
    y.backward()
    page.open(tg.render(y, tmp_path / "page.html"))
    nameless = (
        "[...document.querySelectorAll('button, input, [role=button]')]"
        ".filter(e => !e.getAttribute('aria-label') && !e.textContent.trim()).length"
    )
    assert page.ask(nameless) == 0
    reached = []
    for _ in range(16):
        page.key("Tab", 9)
        reached.append(page.ask("document.activeElement.id"))
    assert {"first", "next", "slider", "n0", "n1", "n3"} <= set(reached)
    label = "document.querySelector('#n0').getAttribute('aria-label')"
    assert page.ask(label) == "x, input, shape (), value 1.5, gradient not reached yet"
    page.key("End", 35)
    assert page.ask(label).startswith("x, input, shape (), value 1.5, gradient 3.18")


@in_a_browser
def test_folded_boxes_open_their_values_one_after_another(page: Browser, tmp_path: Path) -> None:
    h = tg.Value(1.0, "h0")
    for _ in range(150):
        h = tg.tanh(h * 0.5)
    page.open(tg.render(h, tmp_path / "page.html"))
    folded = page.ask("document.querySelector('g.node[id^=g]').id")
    opened = []
    for _ in range(2):
        page.click(f"#{folded}")
        opened.append(page.ask("document.querySelector('#node h2').textContent"))
    assert opened[0] != opened[1]
