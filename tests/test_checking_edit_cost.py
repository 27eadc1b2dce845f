"""Of two right corrections the one a person would write is offered."""

import ast

import numpy as np
import pytest
from test_checking_sheets import NET

import tinygrad_edu as tg
from tinygrad_edu.checking.verdict import judge
from tinygrad_edu.diagnosis.activations import context_of
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.edit_cost import unnatural
from tinygrad_edu.diagnosis.simplifying import simplified
from tinygrad_edu.diagnosis.words import Words, visible_keys
from tinygrad_edu.sheets.account import DIAGNOSING, Account
from tinygrad_edu.sheets.reader import Reader
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import Expr, show

LINE = "dZ1 = W2.T @ dZ2 * (1 - A1)\n"


@pytest.fixture(scope="module")
def context() -> Context:
    judged, _ = judge(Sheet(f"{NET}dZ2 = A2 - Y\n{LINE}"), "lecture")
    return context_of(judged, Account(DIAGNOSING))


def read(context: Context, text: str) -> Expr:
    """A formula over the last state of each name."""
    latest = {key[0]: key[1] for key in context.judged.samples[0].run}
    reader = Reader(context.formulas, text, lambda name: latest.get(name, -1))
    return reader.read(ast.parse(text, mode="eval").body)


def unlike_a_person(context: Context, text: str) -> float:
    statement = context.sheet.backward[-1]
    words = Words(context, [], visible_keys(context, statement), statement.expr, [])
    return unnatural(read(context, text), statement.expr, words)


@pytest.mark.parametrize("natural, other", [
    ("A1 * Z1", "A1 * Z1 * 1"),
    ("2 * A1", "A1 + A1"),
    ("A1 * Z1", "A1 * Z1 + 0"),
    ("A1 * Z1", "A1 * Z1 * X.shape[0] / X.shape[0]"),
    ("A1 * Z1", "A1 * Z1 * Z1 / Z1"),
    ("A1 * Z1**2", "A1 * Z1 * Z1"),
    ("A1 * Z1", "Z1 / (1 / A1)"),
    ("A1 * Z1", "Z1 / A1"),
    ("A1 * (Z1 > 0)", "np.maximum(Z1 > 0, A1)"),
    ("A1 * Z1", "-(-A1 * Z1)"),
    ("A1 - Z1", "A1 - (-(-Z1))"),
    ("Z1 * -A1", "Z1 * -1"),
    ("3 * A1", "3.0 * A1"),
    ("2 @ A1", "m @ A1"),
    ("m * A1", "m**2 * A1"),
    ("A1 * Z1", "A1 * np.exp(Z1)"),
    ("A1 * np.exp(Z1) * np.exp(-A1)", "A1 * np.exp(Z1) * np.exp(-Z1)"),
    ("(A1 + 2) * Z1", "A1 * Z1 + Z1"),
    ("A1 + Z1", "A1 + Z1 + A1"),
])  # fmt: skip
def test_what_nobody_would_write_costs_more(context, natural, other):
    if natural == "2 @ A1":  # the number is what is odd about it
        natural, other = other, natural
    assert unlike_a_person(context, natural) < unlike_a_person(context, other)


def test_what_has_no_name_is_the_last_thing_to_speak_of(context):
    words = Words(
        context, [], visible_keys(context, context.sheet.backward[-1]), read(context, "A1"), []
    )
    unnamed = context.formulas.name("?1", 0)
    assert unnatural(unnamed, read(context, "A1"), words) > unnatural(
        read(context, "np.exp(A1) / np.exp(Z1)"), read(context, "A1"), words
    )


def test_a_root_of_a_product_is_split_only_where_its_factors_are_positive():
    u, v = tg.Value([-1.0, -2.0, -0.5], "u"), tg.Value([-3.0, -0.7, -2.5], "v")
    cost = tg.sum(tg.sqrt(u * v))
    cost.backward()
    rules = tg.derive(cost)
    assert rules["u"].text == "du = v / (2 ∗ sqrt(u ∗ v))"
    namespace = {}
    exec(rules.to_numpy(), namespace)
    with np.errstate(invalid="raise"):
        _, found = namespace["gradients"](u=u.data, v=v.data)
    assert np.allclose(found["du"], u.grad)
    assert np.allclose(found["dv"], v.grad)


SIGMOID = "m = 5\nz: (1, m)\ny: (1, m)\nlam = 0.4\np = 1 / (1 + np.exp(-z))\nJ = np.sum(p * y)\n"
BOTH = "m = 5\nz: (1, m)\ny: (1, m)\nr = np.tanh(z) + z\nJ = np.sum(r * y)\ndr = y\n"
KERNEL = """
x: (6,)
w: (3,)
z = np.array([x[0:3] @ w, x[1:4] @ w, x[2:5] @ w, x[3:6] @ w])
J = np.sum(z**2) / 2
"""


@pytest.mark.parametrize("forward, wrong, right", [
    (SIGMOID, "dz = y * np.exp(z) / (1 + np.exp(-z))**2",
     "dz = y * np.exp(-z) / (1 + np.exp(-z))**2"),
    (SIGMOID, "dz = y * z * (1 - z)", "dz = y * p * (1 - p)"),
    (BOTH, "dz = dr * (1 + 1 - np.tanh(z))", "dz = dr * (1 + 1 - np.tanh(z)**2)"),
    (BOTH, "dz = 0.5 * dr * (2 - np.tanh(z)**2)", "dz = dr * (2 - np.tanh(z)**2)"),
    (KERNEL, "dw = np.array([np.sum(z * x[2:6]), np.sum(z * x[1:5]), np.sum(z * x[0:4])])",
     "dw = np.array([np.sum(z * x[0:4]), np.sum(z * x[1:5]), np.sum(z * x[2:6])])"),
])  # fmt: skip
def test_a_slip_is_undone_where_it_was_made(forward, wrong, right):
    row = tg.check_sheet(Sheet(forward + wrong)).rows[-1]
    assert (row.verdict, row.diagnosis.correction) == ("wrong", right)


@pytest.mark.parametrize("edited, left", [
    ("A1 * m / m", "A1"),
    ("A1 * 1 + -Z1", "A1 - Z1"),
    ("A1 - -Z1 * m", "A1 + Z1 * m"),
    ("--A1", "A1"),
    ("0.3 * A1 * 2", "0.6 * A1"),
    ("2 * A1 * 3", "2 * A1 * 3"),  # numbers a person may mean
    ("A1 * Z1 / Z1", "A1 * Z1 / Z1"),  # Z1 may be 0
])  # fmt: skip
def test_what_an_edit_has_made_cancel_is_struck_out(context, edited, left):
    assert show(simplified(context, read(context, edited), read(context, "A1 * X"))) == left


def test_what_the_learner_wrote_is_left_as_it_is(context):
    own = read(context, "1.0 * A1 * m / m")
    assert simplified(context, context.formulas.make("neg", own), own).args[0] is own
