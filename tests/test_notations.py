"""One tree in all notations: text, ASCII, NumPy, LaTeX, MathML; none misses an operation."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from pylatexenc.latexwalker import LatexWalker
from test_rules import lecture_net

import tinygrad_edu as tg
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.core.plain import ascii_text
from tinygrad_edu.core.primitive import primitive
from tinygrad_edu.rules.expression import Algebra
from tinygrad_edu.rules.layers import layers
from tinygrad_edu.rules.notation import LaTeX, MathML, Names, NumPy, OneLine, Text, evaluate, math
from tinygrad_edu.rules.notation.precedence import PRECEDENCE
from tinygrad_edu.rules.trees import call, literal, multiply, name, number, power, signed, where

#: What MathML Core has, as far as formulas need it.
CORE = {
    "math", "mi", "mn", "mo", "mtext", "mspace", "mrow", "mfrac", "msqrt", "msub", "msup",
    "msubsup", "mover", "mtable", "mtr", "mtd",
}  # fmt: skip
#: How many children these have; the others take any number.
CHILDREN = {"mfrac": 2, "msub": 2, "msup": 2, "msubsup": 3, "mover": 2}
OPTIONS = {
    "part": 1, "lengths": (2,), "axes": (0,),
    "axis": 0, "n": 3, "logs": 1, "order": 1, "min": -0.5, "max": 0.5,
    "index": (slice(1, 3), slice(None)),
}  # fmt: skip
SHAPES = {
    "windows_summed": (3, 4), "reshape": (2, 6), "scatter": (7, 4), "sum_to": (3, 1),
    "broadcast_to": (2, 3, 4),
}  # fmt: skip
NUMBERS = {
    "P": np.random.default_rng(1).uniform(0.2, 0.9, (3, 4)),
    "Q": np.random.default_rng(2).uniform(0.2, 0.9, (3, 4)),
    "R": np.random.default_rng(3).uniform(0.2, 0.9, (3, 4)),
}
#: Of square matrices, here a symmetric one: NumPy reads one half of it.
OF_MATRICES = (
    "inv", "det", "cofactors", "log_abs_det", "sign_of_det", "cholesky_factor", "eigh_part",
)  # fmt: skip
ALGEBRA = Algebra()


def named(text, shape=(3, 4)):
    return name(ALGEBRA.name(text, shape))


def tree_of(op):
    """An operation on P, Q, R with options that matter."""
    count = 2 if op.variadic else op.n_inputs
    shapes = [(3, 4)] * count
    texts = ["P", "Q", "R"][:count]
    if op.name == "matmul":
        texts[1], shapes[1] = "Qt", (4, 3)
    if op.name in OF_MATRICES:
        texts[0], shapes[0] = "T", (3, 3)
    if op.name == "over_gaps":
        texts, shapes = ["P", "q", "r"], [(3, 4), (4,), (3,)]
    if op.name == "windows_summed":
        texts[0], shapes[0] = "V", (2, 4, 2)
    if op.name == "scatter":
        texts[0], shapes[0] = "S", (2, 4)
    options = {key: x for key, x in OPTIONS.items() if key in op.options}
    if op.name == "placed_along":
        options["n"] = 5
    if op.name == "transpose":
        del options["axes"]
    if "shape" in op.options:
        options["shape"] = SHAPES[op.name]
    return literal(op, tuple(named(t, s) for t, s in zip(texts, shapes)), options)


def numbers_of(text):
    P, Q = NUMBERS["P"], NUMBERS["Q"]
    others = {
        "Qt": Q.T, "S": P[:2], "T": P @ P.T + np.eye(3), "q": Q[0], "r": P[:, 0] + 1,
        "V": np.stack([P, Q], axis=-1)[:2],
    }  # fmt: skip
    return {**others, **NUMBERS}[text]


def elements(text):
    """The elements of well-formed MathML, checked against what browsers know."""
    found = list(ElementTree.fromstring(text).iter())
    for element in found:
        kind = element.tag.removeprefix("{http://www.w3.org/1998/Math/MathML}")
        assert kind in CORE, kind
        if kind in CHILDREN:
            assert len(element) == CHILDREN[kind], ElementTree.tostring(element)
    return found


def shown(text):
    """What a reader of MathML sees."""
    return "".join(ElementTree.fromstring(text).itertext())


@pytest.mark.parametrize("op", TABLE.values(), ids=list(TABLE))
def test_every_operation_is_written_in_every_notation(op):
    tree = tree_of(op)
    latex, mathml, text = LaTeX()(tree), math(MathML()(tree)), Text()(tree)
    LatexWalker(f"${latex}$", tolerant_parsing=False).get_latex_nodes()
    elements(mathml)
    assert "?" not in ascii_text(text)
    for part in tree.parts if tree.kind != "call" or not op.name.endswith("slope") else ():
        if part.kind == "name":
            for written in (latex, shown(mathml), text):
                assert part.value.name in written, written
    for notation in (NumPy(), OneLine()):
        source = notation.counted(tree)
        if "scatter(" not in source and "prod_of_others(" not in source:
            scope = {"np": np} | {
                t: numbers_of(t) for t in re.findall(r"\b(?:Qt|[PQRSTVqr])\b", source)
            }
            with np.errstate(invalid="ignore"):  # arccosh is nan below 1
                value = eval(source, scope)
                want = evaluate(tree, lambda atom: numbers_of(atom.name))
            np.testing.assert_allclose(value, want, rtol=1e-12)


@pytest.mark.parametrize("op", [op for op in TABLE.values() if "axis" in op.options], ids=str)
def test_an_axis_is_told_in_every_notation(op):
    tree = tree_of(op)
    if op.name in ("bernoulli_loss", "deviation", "centred", "logistic_residual", "joined"):
        return  # written by what they are made of, whose axis is told; or 0 is the usual one
    for written in (LaTeX()(tree), shown(math(MathML()(tree))), Text()(tree)):
        assert re.search(r"axis(}| )*=\s*0", written), written


def test_every_kind_of_tree_has_a_row_in_the_table_and_a_method_in_every_notation():
    kinds = set(PRECEDENCE) - {"subtract", "negative", "fraction"}
    for notation in (Text, NumPy, OneLine, LaTeX, MathML):
        assert {kind for kind in kinds if hasattr(notation, kind)} == kinds


def random_tree(rng, depth):
    """Sums, products, quotients, powers, choices and calls, nested at random."""
    if depth == 0:
        return named(str(rng.choice(["P", "Q", "R"]))) if rng.random() < 0.7 else number(3)
    x, y = random_tree(rng, depth - 1), random_tree(rng, depth - 1)
    return [
        lambda: signed([(int(rng.choice([-1, 1])), x), (int(rng.choice([-1, 1])), y)]),
        lambda: multiply([x, y]),
        lambda: literal(TABLE["divide"], (x, y), {}),
        lambda: power(x, 2),
        lambda: where(call(TABLE["greater"], (x, y), {}), x, y),
        lambda: call(TABLE["tanh"], (x,), {}),
    ][rng.integers(6)]()


def read_back(text):
    """What a line of text says, in Python."""
    text = text.replace("−", "-").replace("∗", "*").replace("²", "**2").replace("tanh", "np.tanh")
    return re.sub(r"\) (?=[\w(])", ") * ", text)


@pytest.mark.parametrize("seed", range(60))
def test_brackets_stand_where_they_are_needed(seed):
    tree = random_tree(np.random.default_rng(seed), 4)
    want = evaluate(tree, lambda atom: NUMBERS[atom.name])
    for text in (NumPy()(tree), read_back(Text()(tree)).replace("where", "np.where")):
        value = eval(text.replace("np.np.", "np."), {"np": np, **NUMBERS})
        np.testing.assert_allclose(value, want, rtol=1e-9, err_msg=text)


def test_words_are_upright_and_names_apart_in_latex():
    latex = LaTeX(names=Names({"o", "oh", "h"}, set()))
    product = literal(TABLE["matmul"], (named("do", (3, 4)), named("h", (4, 3))), {})
    assert latex(product) == r"do \, h"
    assert latex(named("doh")) == r"d\mathrm{oh}"
    assert LaTeX(names=Names({"W"}, set()))(named("data")) == r"\mathrm{data}"
    assert latex(literal(TABLE["matmul"], (named("keep"), named("h", (4, 3))), {})) == (
        r"\mathrm{keep} \, h"
    )


def net(**leaves):
    """Names and what they are called by."""
    return {
        tg.Value(1.0) * 1 if kind == "computed" else tg.Value(1.0, requires_grad=kind == "learned"):
        text for text, kind in leaves.items()
    }  # fmt: skip


@pytest.mark.parametrize(
    "leaves, told",
    [
        ({"W1": "learned", "Z1": "computed", "A1": "computed"}, {"W1", "Z1", "A1"}),
        ({"x1": "given", "x2": "given", "Z": "computed"}, set()),
        ({"x1": "learned", "h1": "computed", "Wh": "learned"}, set()),
        ({"W1": "learned", "a1": "computed", "x1": "given", "A0": "given"}, {"W1", "a1", "A0"}),
        ({"W1": "learned", "W2": "learned", "h": "computed"}, set()),
    ],
)
def test_a_number_is_a_layer_where_the_sheet_says_so(leaves, told):
    names = net(**leaves)
    assert {names[node] for node in layers(names)} == told


def test_inputs_keep_their_numbers_below_and_layers_have_theirs_above():
    x1, x2 = (tg.Value(np.ones((3, 5)), n, requires_grad=False) for n in ("x1", "x2"))
    W1, W2 = tg.Value(np.ones((2, 3)), "W1"), tg.Value(np.ones((2, 3)), "W2")
    Z1, Z2 = W1 @ x1, W2 @ x2
    tg.name_values(Z1=Z1, Z2=Z2)
    d = tg.derive(tg.mean(tg.sum(Z1**2 + Z2**3, axis=0)))
    assert d["dW1"].latex == r"dW^{[1]} = \frac{1}{m} dZ^{[1]} x_{1}^{\top}"
    assert "<msub><mi>x</mi><mn>1</mn></msub>" in d["dW1"].mathml


def test_the_six_lines_in_mathml():
    d = tg.derive(lecture_net(np.random.default_rng(5)))
    assert [shown(rule.mathml) for rule in d.rules[:4]] == [
        "dZ[2]=A[2]−Y",
        "dW[2]=1mdZ[2]A[1]⊤",
        "db[2]=1mnp.sum(dZ[2],axis=1,keepdims=True)",
        "dZ[1]=W[2]⊤dZ[2]∗(1−(A[1])2)",
    ]
    rows = [e for e in elements(d.to_mathml()) if e.tag.endswith("mtr")]
    assert len(rows) == len(d.rules)


def test_an_operation_of_ones_own_is_typeset_as_it_is_declared():
    @primitive(lambda dz, z, x: dz / x, latex=r"\ln\left|{0}\right|")
    def log_abs(x):
        """log |x|."""
        return np.log(np.abs(x))

    tree = call(log_abs, (named("P"),), {})
    assert shown(math(MathML()(tree))) == "ln|P|"
    assert LaTeX()(tree) == r"\ln\left|P\right|"


def test_a_template_has_places_for_options_too():
    @primitive(lambda dz, z, x, *, n: dz, latex=r"\sqrt{{{0}}}_{{{n}}} + 1")
    def odd(x, *, n):
        """Not meant to be useful."""
        return x

    tree = call(odd, (named("P"),), {"n": 7})
    assert LaTeX()(tree) == r"\sqrt{P}_{7} + 1"
    assert shown(math(MathML()(multiply([tree, named("Q")])))) == "(P7+1)∗Q"
