"""An operation of one's own is differentiated, derived, compiled, drawn, checked and used in sheets
as the package's are; a declaration that cannot be right is refused in words."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.own import IN_SHEETS


@pytest.fixture
def squashed():
    """``x / (1 + k |x|)``, which sheets may call for the time of a test."""

    @tg.primitive(
        lambda dz, z, x, *, k=1.0: dz / (1 + k * tg.abs(x)) ** 2,
        latex=r"\operatorname{{squash}}({0})",
        sheet=True,
    )
    def squashed(x, k=1.0):
        return x / (1 + k * np.abs(x))

    yield squashed
    del IN_SHEETS["squashed"]


X = np.array([[0.5, -1.5, 2.0], [0.25, 3.0, -0.75]])


def test_it_has_derivatives_of_every_order(squashed):
    tg.check_gradients(lambda x: squashed(x, k=2.0), X, order=3)
    assert isinstance(squashed, tg.Primitive)
    assert squashed(2.0) == pytest.approx(2 / 3)
    assert type(squashed(tg.Value(np.float32(2)))) is tg.Value


def test_it_is_derived_compiled_and_drawn(squashed):
    W, x = tg.Value(X, "W"), tg.Value([1.0, 2.0, -1.0], "x", requires_grad=False)
    z = W @ x
    J = tg.sum(squashed(z) ** 2)
    tg.name_values(z=z, J=J)
    J.backward()
    d = tg.derive(J)
    assert "squashed(z)" in d["dz"].text
    assert "squash" in d["dz"].latex
    scope = {"squashed": squashed}
    exec(d.to_numpy(), scope)
    np.testing.assert_allclose(scope["gradients"](W=X, x=x.data)[1]["dW"], W.grad)
    np.testing.assert_allclose(tg.compile(J)(W=X, x=x.data)[1]["W"], W.grad)
    assert "squashed" in tg.draw(J).source


def test_a_sheet_may_call_it(squashed):
    text = "m = 4\nX: (3, m)\nW: (2, 3)\nZ = W @ X\nJ = np.sum(squashed(Z, k=2)) / m\n"
    assert tg.check_text(text + "dZ = 1 / (1 + 2 * np.abs(Z))**2\ndW = 1/m * dZ @ X.T\n").ok
    [rule] = tg.check_text(text + "dZ = 1 / (1 + np.abs(Z))**2\n").to_json()["rules"]
    assert rule["verdict"] == "wrong"
    assert tg.check_text("x: (3,)\nJ = np.sum(squashed(x > 0) * x)\ndx = squashed(x > 0)\n").ok


def test_without_sheet_it_is_not_known_there():
    @tg.primitive(lambda dz, z, x: dz)
    def unheard_of(x):
        return x * 1.0

    with pytest.raises(tg.SheetError, match="unheard_of"):
        tg.check_text("x: (3,)\nJ = np.sum(unheard_of(x))\ndx = np.ones(3)\n")


def test_a_wrong_rule_is_found_and_told_from_a_wrong_line():
    @tg.primitive(lambda dz, z, x: 2 * dz * x**2)
    def cubed(x):
        return x**3

    with pytest.raises(AssertionError, match="with respect to x"):
        tg.check_gradients(cubed, X)
    x = tg.Value(X, "x")
    [row] = tg.compare(tg.sum(cubed(x)), {"dx": 3 * X**2}).rows
    assert not row.ok


def test_a_shape_that_was_not_declared_is_told_when_it_is_met():
    @tg.primitive(lambda dz, z, x: dz * tg.sign(x))
    def total(x):
        return np.sum(np.abs(x))

    with pytest.raises(tg.GradError, match=r"total: of shapes \(2, 3\) .* Pass shape="):
        total(tg.Value(X))

    @tg.primitive(lambda dz, z, x: dz * tg.sign(x), shape=lambda old: ())
    def total_of(x):
        return np.sum(np.abs(x))

    tg.check_gradients(total_of, X)


def cube(x):
    return x**3


def volume(x, y, z):
    return x * y * z


@pytest.mark.parametrize("given, said", [
    (None, "the rule for y gave None, and no gradient: is a return missing"),
    ("dz", "the rule for y gave 'dz'"), (abs, "the rule for y gave <built-in function abs>"),
])  # fmt: skip
def test_a_rule_that_gives_no_gradient_is_named(given, said):
    @tg.primitive(lambda dz, z, x, y: dz * y, lambda dz, z, x, y: given)
    def product(x, y):
        return x * y

    x = tg.Value(2.0, "x")
    J = product(x, 3.0)
    J.backward()
    assert x.grad == 3.0  # the other rule is right
    with pytest.raises(TypeError, match=f"product: {said}"):
        product(x, tg.Value(3.0, "y")).backward()


REFUSED = {
    "takes x, and 2 rules were given": lambda: tg.primitive(None, None)(lambda x: x),
    "and 0 rules": lambda: tg.primitive()(lambda x: x),
    "a rule is a function or None": lambda: tg.primitive("2 * dz"),
    "a rule is given dz, z and the input, which cube does not take.*brackets": lambda: tg.primitive(
        cube
    ),
    "given dz, z and the 2 inputs": lambda: tg.primitive(lambda dz, z, x: dz, None),
    "a function, not 1.0. The rules stand in brackets": lambda: tg.primitive(volume)(1.0),
    "the forward is a function": lambda: tg.primitive(None)(np.exp),
    "no trait 'round'": lambda: tg.primitive(None, traits={"round"})(lambda x: x),
    "sheets know": lambda: tg.primitive(None, sheet=True)(lambda x: x),
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_declaration_that_cannot_be_right_is_refused(words):
    with pytest.raises((tg.GradError, TypeError), match=words):
        REFUSED[words]()
