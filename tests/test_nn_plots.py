"""Plots: what is drawn is what was given, the same file every time, and nothing else is touched."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn import plots

SVG = "{http://www.w3.org/2000/svg}"


def texts(path):
    return ["".join(text.itertext()) for text in ET.parse(path).iter(f"{SVG}text")]


def drawn(path, colour):
    """The points of the curve of a colour, in the picture's units (y grows downwards), by piece."""
    for group in ET.parse(path).iter(f"{SVG}g"):
        if re.fullmatch(r"line2d_\d+", group.get("id", "")):
            line = group.find(f"{SVG}path")
            if line is not None and f"stroke: {colour}" in line.get("style", ""):
                pieces = re.findall(r"M [^M]+", line.get("d"))
                return [
                    np.array(re.findall(r"[-\d.]+", piece), dtype=float).reshape(-1, 2)
                    for piece in pieces
                ]
    raise AssertionError(f"no curve is {colour}")


def straight(x, y):
    """Do the points lie on a line?"""
    return abs(np.corrcoef(x, y)[0, 1]) > 1 - 1e-9


@pytest.mark.slow
def test_a_curve_is_drawn_where_its_numbers_are(tmp_path):
    y = np.random.default_rng(3).normal(size=9)
    nn.line_chart(tmp_path / "a.svg", {"y": y})
    [points] = drawn(tmp_path / "a.svg", plots.COLOURS[0])
    assert straight(points[:, 0], np.arange(9))
    assert straight(points[:, 1], y)
    assert (points[0, 1] < points[1, 1]) == (y[0] > y[1])


def test_on_a_logarithmic_axis_powers_lie_on_a_line(tmp_path):
    nn.line_chart(tmp_path / "a.svg", {"y": 10.0 ** -np.arange(7)}, log=True)
    [points] = drawn(tmp_path / "a.svg", plots.COLOURS[0])
    assert straight(*points.T)


@pytest.mark.parametrize("log, gaps", [(False, [np.nan, np.inf]), (True, [0.0, -1.0, -np.inf])])
@pytest.mark.one_in(2)
def test_what_cannot_be_drawn_is_a_gap(tmp_path, log, gaps):
    for gap in gaps:
        nn.line_chart(tmp_path / "a.svg", {"y": [1.0, 3.0, gap, 2.0, 5.0, 4.0]}, log=log)
        assert [len(p) for p in drawn(tmp_path / "a.svg", plots.COLOURS[0])] == [2, 3]


def test_names_are_text_whatever_they_hold(tmp_path):
    names = ["5 < 6 & </svg>", "50$ to $60", r"{\frac", "هزینه", "‖dZ‖ (1/4)ᵏ"]
    nn.line_chart(
        tmp_path / "a.svg", {name: [1, 2] for name in names}, title="$x", x_label="$a b$",
        y_label="_y_",
    )  # fmt: skip
    assert {*names, "$x", "$a b$", "_y_"} <= set(texts(tmp_path / "a.svg"))


def test_many_curves_differ_by_colour_or_line_and_are_all_named(tmp_path):
    curves = {f"layer {i}": [i, i + 1] for i in range(24)}
    nn.line_chart(tmp_path / "a.svg", curves, dashed=["layer 23"])
    assert set(curves) <= set(texts(tmp_path / "a.svg"))
    styles = re.findall(r'style="(fill: none; stroke[^"]+)"', (tmp_path / "a.svg").read_text())
    styles = {s for s in styles if "width: 1.8" in s}
    assert len(styles) == 24


def test_a_single_curve_is_named_on_its_axis(tmp_path):
    nn.line_chart(tmp_path / "a.svg", {"cost": [2, 1]})
    assert "cost" in texts(tmp_path / "a.svg")


def moons(m=60):
    """Two classes that no line separates, (2, m) and (m,)."""
    rng = np.random.default_rng(0)
    t, y = 3 * rng.random(m), np.arange(m) % 2
    X = np.array([np.where(y, np.cos(t), 1 - np.cos(t)), np.where(y, np.sin(t), 0.5 - np.sin(t))])
    return X, y


def test_the_boundary_lies_where_the_probability_is_a_half(tmp_path):
    X, y = moons()
    nn.decision_boundary(tmp_path / "a.svg", lambda p: 1 / (1 + np.exp(-9 * (p[0] - p[1]))), X, y)
    [points] = drawn_boundary(tmp_path / "a.svg")
    assert straight(*points.T)  # x₁ = x₂
    assert points[:, 1].max() - points[:, 1].min() > 50


def drawn_boundary(path):
    lines = [
        p.get("d") for p in ET.parse(path).iter(f"{SVG}path")
        if "fill: none; stroke: #000000; stroke-width: 1.8" in p.get("style", "")
    ]  # fmt: skip
    return [np.array(re.findall(r"[-\d.]+", d), dtype=float).reshape(-1, 2) for d in lines]


def test_a_function_on_one_side_of_a_half_has_no_boundary(tmp_path):
    X, y = moons()
    nn.decision_boundary(tmp_path / "a.svg", lambda p: np.full(p.shape[1], 0.75), X, y)
    assert drawn_boundary(tmp_path / "a.svg") == []


@pytest.mark.parametrize("where", [0.5, np.inf])
def test_what_is_not_a_number_is_left_white(tmp_path, where):
    X, y = moons()
    nn.decision_boundary(tmp_path / "a.svg", lambda p: np.where(p[0] < where, np.nan, 0.9), X, y)
    assert drawn_boundary(tmp_path / "a.svg") == []


@pytest.mark.slow
def test_a_network_a_value_and_numbers_give_the_same_plot(tmp_path):
    X, y = moons()
    net = nn.Network(2, nn.Dense(3, "tanh"), nn.Dropout(0.5), nn.Dense(1, "sigmoid"), seed=1)
    two = nn.Network(2, nn.Dense(2, "softmax"), seed=1)
    for name, f, labels in (
        ("net", net, y),
        ("numbers", net.predict, y[None]),
        ("flat", lambda p: net.predict(p)[0], y),
        ("two rows", two, y),
        ("its second", lambda p: two.predict(p)[1], y),
    ):
        nn.decision_boundary(tmp_path / f"{name}.svg", f, X, labels)
    pictures = {path.stem: path.read_bytes() for path in tmp_path.iterdir()}
    assert pictures["net"] == pictures["numbers"] == pictures["flat"]
    assert pictures["two rows"] == pictures["its second"] != pictures["net"]
    assert all(p.grad is None for p in net.parameters.values())


@pytest.mark.slow
def test_every_example_is_drawn_and_one_alone_has_room_around_it(tmp_path):
    X, y = moons(7)
    nn.decision_boundary(tmp_path / "a.svg", lambda p: p[0] > 0, X, y)
    uses = (tmp_path / "a.svg").read_text().count("fill: #e69f00; stroke: #000000")
    assert uses == 4 + 1  # class 0 at 0, 2, 4, 6; and the legend
    nn.decision_boundary(tmp_path / "b.svg", lambda p: p[0] > 0, [[0.5], [2.0]], [1])


X, Y = np.ones((2, 5)), np.zeros((1, 5))


def whatever(points):
    return np.zeros(points.shape[1])


@pytest.mark.parametrize(
    "f, X, Y, says",
    [
        (whatever, np.ones((3, 5)), Y, r"X of shape \(3, 5\).*\(2, m\)"),
        (whatever, X * np.inf, Y, "finite"),
        (whatever, np.ones((2, 0)), np.ones(0), r"\(2, 0\)"),
        (whatever, X, np.zeros((1, 4)), r"Y of shape \(1, 4\)"),
        (whatever, X, 2 + Y, "0 or 1"),
        (lambda p: p.T, X, Y, r"gave shape \(10000, 2\)"),
        (lambda p: 3.0, X, Y, r"gave shape \(\)"),
        (lambda p: 7 * p[0], X, Y, "lack a sigmoid"),
        (lambda p: -1.0 * (p[0] > 1.2), X, Y, "gave -1;"),
    ],
)
def test_a_boundary_of_something_else_is_refused(tmp_path, f, X, Y, says):
    with pytest.raises(tg.GradError, match=says):
        nn.decision_boundary(tmp_path / "a.svg", f, X, Y)
    assert list(tmp_path.iterdir()) == []


def test_the_boundary_of_a_network_of_rows_is_that_of_its_columns():
    columns, rows = (
        nn.Network(2, nn.Dense(3, "tanh"), nn.Dense(1, "sigmoid"), rows=rows)
        for rows in (False, True)
    )
    for name, p in columns.parameters.items():
        rows.parameters[name].data = p.data.T
    X, y = moons()
    expected = nn.decision_boundary(None, columns, X, y).svg
    for labels in (y.ravel(), y.reshape(-1, 1)):
        assert nn.decision_boundary(None, rows, X.T, labels).svg == expected
    with pytest.raises(tg.GradError, match=r"as rows, \(m, 2\)"):
        nn.decision_boundary(None, rows, X, y)
    with pytest.raises(tg.GradError, match="one class per row of X"):
        nn.decision_boundary(None, rows, X.T, y[:-1])


def both(folder, suffix):
    """A plot of each kind."""
    X, y = moons()
    nn.line_chart(folder / f"curve.{suffix}", {"a": [1, 2], "b": [3, 1]}, title="a title")
    nn.decision_boundary(folder / f"boundary.{suffix}", lambda p: p[0] > 0.5, X, y)
    return [(folder / f"{name}.{suffix}").read_bytes() for name in ("curve", "boundary")]


@pytest.mark.slow
def test_the_same_plot_is_the_same_file_whatever_the_readers_own_settings(tmp_path):
    import matplotlib

    first = both(tmp_path, "svg")
    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "black", "font.size": 40}):
        assert both(tmp_path, "svg") == first
    assert b"<dc:date>" not in first[0]
    assert b"<title>a title</title>" in first[0]


@pytest.mark.slow
def test_the_suffix_says_what_is_written(tmp_path):
    assert all(picture.startswith(b"\x89PNG") for picture in both(tmp_path, "png"))
    with pytest.raises(tg.GradError, match=r"'a.gif', must be .svg or .png"):
        nn.line_chart(tmp_path / "a.gif", {"a": [1]})
    with pytest.raises(tg.GradError, match="finite number to draw"):
        nn.line_chart(tmp_path / "a.svg", {"a": [np.nan]})


@pytest.mark.slow
def test_a_plot_touches_neither_pyplot_nor_its_settings(tmp_path):
    code = (
        "import sys, tinygrad_edu.nn as nn; assert 'matplotlib' not in sys.modules\n"
        "from matplotlib import rcParams\n"
        "def settings(): return {k: rcParams[k] for k in rcParams if k != 'backend'}\n"
        "before = settings()\n"
        f"nn.line_chart({str(tmp_path / 'a.svg')!r}, {{'a': [1, 2]}})\n"
        "assert settings() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_an_interrupted_plot_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def interrupted(self, file, **_):
        file.write(b"half")
        raise KeyboardInterrupt

    (tmp_path / "a.svg").write_text("old")
    monkeypatch.setattr(Figure, "savefig", interrupted)
    with pytest.raises(KeyboardInterrupt):
        nn.line_chart(tmp_path / "a.svg", {"a": [1, 2]})
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_without_matplotlib_a_plot_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for suffix in ("svg", "png"):
        with pytest.raises(ImportError, match=re.escape('pip install "tinygrad-edu[plots]"')):
            both(tmp_path, suffix)
    assert list(tmp_path.iterdir()) == []
