"""A laid-out formula in three notations: terminal text, LaTeX with the lecture's names, NumPy."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import TABLE
from tinygrad_edu.core.primitive import Primitive, Shape
from tinygrad_edu.rules.expression import (
    COMPARISONS,
    FORMULAS,
    NOT_FINITE,
    Named,
    Size,
    float_text,
)
from tinygrad_edu.rules.poly import Atom, Number
from tinygrad_edu.rules.trees import REDUCED, Tree, Written, given_tree

# How tightly things hold together.
SUM, PRODUCT, MATMUL, POWER, WHOLE = range(1, 6)
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu",
    "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
}  # fmt: skip


def decimal(c: Number) -> str:
    """A number as Python reads it back exactly."""
    f = Fraction(c)
    if f.denominator == 1:
        return str(f.numerator)
    return repr(float(f))


def quotient(c: Number) -> str:
    """A number as one writes it: 1/3 where a decimal would not end soon."""
    f = Fraction(c)
    text = decimal(f)
    if len(text) <= 8 or f.denominator == 1 or f.denominator > 999:
        return text
    return f"{f.numerator}/{f.denominator}"


def array_text(x: np.ndarray[Any, Any]) -> str:
    """An array written out; the lists of one without numbers would not tell its shape and kind."""
    text = f"np.array({x.tolist()})" if x.size else f"np.zeros({x.shape}, np.{x.dtype})"
    return re.sub(r"\b(inf|nan)\b", r"np.\1", text)


class Notation:
    """Renders trees. A subclass says how each kind looks and how tightly it holds."""

    minus = "-"
    times = " * "

    def __init__(
        self,
        array_names: Callable[[Any], str | None] | None = None,
        sizes: bool = False,
    ) -> None:
        self.sizes = sizes  # lengths by what they are called, not by the number they are here
        self.array_name = array_names or (lambda array: None)

    def __call__(self, tree: Tree, least: int = SUM) -> str:
        text: str
        text, holds = getattr(self, tree.kind)(tree)
        if tree.kind == "add" and len(tree.parts) == 1:  # -x / m is (-x) / m
            holds = PRODUCT
        return text if holds >= least else self.bracket(text)

    def bracket(self, text: str) -> str:
        return f"({text})"

    def counted(self, tree: Tree, least: int = SUM) -> str:
        """`tree` where it must be numbers, not True and False."""
        return self(tree, least)

    def add(self, tree: Tree) -> tuple[str, int]:
        text = ""
        for sign, part in zip(tree.value, tree.parts):
            if text:
                mark = "+" if sign > 0 else self.minus
                text += f" {mark} {self(part, SUM if sign > 0 else PRODUCT)}"
            elif sign < 0:
                text = self.negated(part)
            else:
                text = (self.counted if all(map(is_boolean, tree.parts[:2])) else self)(part)
        return text, SUM

    def negated(self, tree: Tree) -> str:
        """A product with a minus in front."""
        return self.minus + self(tree, PRODUCT)

    def given_and_rest(self, top: Tree) -> tuple[list[Tree], str]:
        """A numerator with ``(1/m)`` in front: the numbers that go into that, the rest written."""
        parts = top.parts if top.kind == "multiply" else (top,)
        given = [part for part in parts if is_given(part)]
        others = [part for part in parts if part not in given]
        rest = self.times.join(
            self(part, MATMUL if len(others) > 1 or part.kind == "add" else PRODUCT)
            for part in others
        )
        return given, rest

    def value(self, x: Any) -> str:
        """An option: an axis, a shape, an index."""
        if isinstance(x, Size) and (self.sizes or is_declared(x)):
            return self(given_tree(x))
        if isinstance(x, Named):
            return x.name
        if isinstance(x, slice):
            parts = ["" if n is None else self.value(n) for n in (x.start, x.stop)]
            return ":".join(parts) + (f":{self.value(x.step)}" if x.step is not None else "")
        if x is Ellipsis:
            return "..."
        if x is None:
            return "None"
        if isinstance(x, tuple):
            return f"({', '.join(map(self.value, x))}{',' if len(x) == 1 else ''})"
        if isinstance(x, np.ndarray):
            if x.ndim == 1 and x.size > 2 and np.array_equal(x, np.arange(x.size)):
                return self.array_name(x) or f"np.arange({x.size})"
            return self.array_name(x) or array_text(x)
        return float_text(x) if isinstance(x, (float, np.floating)) else str(x)

    def index(self, index: Any) -> str:
        text = self.value(index)
        return text[1:-1].rstrip(",") if isinstance(index, tuple) and index else text

    def sum_options(self, tree: Tree) -> tuple[str, bool]:
        """``axis`` as written, and whether the axes stay."""
        places, keepdims, _ = tree.value
        whole = len(places) == len(tree.parts[0].shape) > 1
        if whole or not tree.shape:
            return "", keepdims
        return str(places[0]) if len(places) == 1 else str(places), keepdims


class NumPy(Notation):
    """A Python expression that needs only numpy and, for an index of arrays, `scatter`."""

    booleans = True
    helpers = True  # may functions be called that NumPy has not? See `writing.HELPERS`

    def counted(self, tree: Tree, least: int = SUM) -> str:
        """To NumPy ``True + True`` is True: what is compared becomes numbers by a factor."""
        if not (self.booleans and is_boolean(tree)):
            return self(tree, least)
        text = f"1.0 * {self(tree, POWER)}"
        return text if least <= PRODUCT else self.bracket(text)

    def negated(self, tree: Tree) -> str:
        """The first factor takes the minus, and NumPy has none for True and False."""
        first = tree
        while first.kind in ("multiply", "divide"):
            first = first.parts[0]
        if self.booleans and is_boolean(first):
            return f"-1.0 * {self(tree, PRODUCT)}"
        return super().negated(tree)

    def number(self, tree: Tree) -> tuple[str, int]:
        c = Fraction(tree.value)
        if c.denominator == 1 or c.denominator > 999 or len(decimal(c)) <= 8:
            return decimal(c), WHOLE
        return f"{c.numerator} / {c.denominator}", PRODUCT

    def name(self, tree: Tree) -> tuple[str, int]:
        return tree.value.name, WHOLE

    def multiply(self, tree: Tree) -> tuple[str, int]:
        texts = []
        for i, part in enumerate(tree.parts):
            # After a number a matrix product needs no bracket: either factor may be scaled.
            after_number = i == 1 and tree.parts[0].kind == "number"
            alone = i == 0 or (
                after_number and part.kind == "matmul" and self._simple(part.parts[0])
            )
            texts.append(self(part, PRODUCT if alone else POWER))
        return " * ".join(texts), PRODUCT

    def _simple(self, tree: Tree) -> bool:
        return tree.kind in ("name", "transpose") or (
            tree.kind == "matmul" and self._simple(tree.parts[0])
        )

    def divide(self, tree: Tree) -> tuple[str, int]:
        top, bottom = tree.parts
        return f"{self(top, PRODUCT)} / {self(bottom, POWER)}", PRODUCT

    def power(self, tree: Tree) -> tuple[str, int]:
        n = Fraction(tree.value)
        exponent = (
            decimal(n)
            if n.denominator in (1, 2, 4, 5, 8, 10)
            else f"({n.numerator} / {n.denominator})"
        )
        return f"{self.counted(tree.parts[0], WHOLE)}**{exponent}", POWER

    def matmul(self, tree: Tree) -> tuple[str, int]:
        x, y = tree.parts
        return f"{self.counted(x, PRODUCT)} @ {self(y, POWER)}", PRODUCT

    def transpose(self, tree: Tree) -> tuple[str, int]:
        inner = self(tree.parts[0], WHOLE)
        return (
            f"{inner}.T"
            if tree.value is None
            else f"{inner}.transpose{self.value(tuple(tree.value))}"
        ), WHOLE

    def sum(self, tree: Tree) -> tuple[str, int]:
        axis, stays = self.sum_options(tree)
        options = (f", axis={axis}" if axis else "") + (", keepdims=True" if stays else "")
        return f"np.{tree.kind}({self._alone(tree.parts[0])}{options})", WHOLE

    mean = sum

    def where(self, tree: Tree) -> tuple[str, int]:
        mask, x, y = tree.parts
        return f"np.where({self._alone(mask)}, {self(x)}, {self(y)})", WHOLE

    def _alone(self, tree: Tree) -> str:
        """Between brackets and commas, where a comparison needs no brackets of its own."""
        comparison = tree.kind == "call" and tree.value[0].name in COMPARISONS
        return self(tree)[1:-1] if comparison else self(tree)

    def call(self, tree: Tree) -> tuple[str, int]:
        op, options = tree.value
        if op.name == "reshape" and sum(n != 1 for n in options["shape"]) == 1:
            options = {"shape": tuple(1 if n == 1 else -1 for n in options["shape"])}
        if op.name == "scatter":
            return self._scatter(tree.parts[0], options), WHOLE
        if op.name == "joined":
            axis = options.get("axis", 0)
            parts = ", ".join(map(self.counted, tree.parts))
            return f"np.concatenate([{parts}]{f', axis={axis}' if axis != 0 else ''})", WHOLE
        axis = options.get("axis")
        unknown = op.name == "norm" and isinstance(axis, tuple) and len(axis) != 2  # to NumPy's
        if op.name == "prod_of_others" and self.helpers:
            return f"prod_of_others({self(tree.parts[0])}, {options['axis']})", WHOLE
        spelling = op.spelling or op.definition
        if (op.numpy is None or unknown) and spelling is not None:
            return self.spelled(spelling, tree)
        return fill(op, op.numpy or f"np.{op.name}({{0}})", tree, self, options)

    def spelled(self, spelling: Callable[..., Any], tree: Tree) -> tuple[str, int]:
        """A call in terms of other operations."""
        options = tree.value[1]
        other: Tree = spelling(*(Written(part) for part in tree.parts), **options).tree
        written: tuple[str, int] = getattr(self, other.kind)(other)
        return written

    def _scatter(self, part: Tree, options: dict[str, Any]) -> str:
        index, shape = options["index"], options["shape"]
        parts = index if isinstance(index, tuple) else (index,)
        if all(isinstance(p, slice) and p.step in (None, 1) for p in parts):
            widths = []
            for n, p in zip(shape, [*parts, *[slice(None)] * (len(shape) - len(parts))]):
                start, stop, _ = p.indices(int(n))
                widths.append((start, int(n) - stop))
            width = self.value(tuple(widths) if len(widths) > 1 else widths[0])
            return f"np.pad({self(part)}, {width})"
        return self._scatter_at(part, index, tuple(shape))

    def _scatter_at(self, part: Tree, index: Any, shape: Shape) -> str:
        return f"scatter({self(part)}, {self._as_index(index)}, {self.value(shape)})"

    def _as_index(self, index: Any) -> str:
        if isinstance(index, tuple):
            return f"({', '.join(map(self._as_index, index))},)"
        if isinstance(index, slice):
            return f"slice({index.start}, {index.stop}, {index.step})"
        return self.value(index)


class OneLine(NumPy):
    """One Python expression that needs only numpy."""

    helpers = False

    def _scatter_at(self, part: Tree, index: Any, shape: Shape) -> str:
        # What is added up under each number of an array that numbers the entries.
        size, form = math.prod(int(n) for n in shape), self.value(shape)
        form = form if len(shape) > 1 else f"({form[1:-2]})"
        places = f"np.arange({size}).reshape{form}[{self.index(index)}]"
        flat = f"{places}.ravel(), np.ravel({self(part)})"
        return f"np.bincount({flat}, {size}).reshape{form}"


def fill(
    op: Primitive, template: str, tree: Tree, notation: Notation, options: dict[str, Any]
) -> tuple[str, int]:
    """A call in the operation's own template."""
    values = {key: notation.value(x) for key, x in options.items()}
    if "index" in options:
        values["index"] = notation.index(options["index"])
    given = [
        f"{key}={x}"
        for key, x in values.items()
        if key != "index" and options[key] is not None and options[key] is not False
    ]
    # Between brackets and commas anything may stand, beside an operator only what holds together.
    free = re.sub(r"(?<=[(,]){\d}(?=[,)]|{options)|(?<=, ){\d}(?=[,)]|{options)", "", template)
    least = WHOLE if re.search(r"{\d}", free) and op.name not in COMPARISONS else SUM
    shown = notation if op.name in COMPARISONS else notation.counted
    texts = [shown(part, least) for part in tree.parts]
    if (
        values.get("shape", "").startswith("(") and op.name == "reshape" and options["shape"][1:]
    ):  # lengths need no brackets of their own
        values["shape"] = values["shape"][1:-1]
    if op.name == "relu":
        given = []
    if template.startswith("{0}") and not tree.parts[0].shape:  # a float has no methods
        template = f"np.asarray({{0}}){template[3:]}"
    declared = {key: notation.value(default) for key, default in _defaults(op).items()}
    text = template.format(
        *texts, options="".join(f", {x}" for x in given), **{**declared, **values}
    )
    return text, POWER if op.name == "power" else WHOLE


@cache
def _defaults(op: Primitive) -> dict[str, Any]:
    return {
        key: p.default
        for key, p in inspect.signature(op.forward).parameters.items()
        if p.default is not inspect.Parameter.empty
    }


def is_boolean(tree: Tree) -> bool:
    """Does NumPy answer True or False?"""
    parts = tree.parts[1:] if tree.kind == "where" else tree.parts
    return (tree.kind == "call" and tree.value[0].name in COMPARISONS) or (
        tree.kind in ("multiply", "transpose", "where") and all(map(is_boolean, parts))
    )


def is_declared(size: Size) -> bool:
    """Has a length a name of its own, or is it made of such? ``X.shape[0]`` is none."""
    atoms = size.symbol.atoms()
    return bool(atoms) and not any("." in atom.name for atom in atoms)


def is_given(tree: Tree) -> bool:
    """Made of plain numbers and given ones such as m only?"""
    return tree.kind == "number" or (tree.kind == "name" and tree.value.constant) or (
        tree.kind in ("add", "multiply", "power", "divide") and all(map(is_given, tree.parts))
    )  # fmt: skip


def in_front(top: Tree, bottom: Tree) -> bool:
    """Does a quotient read better as ``(1/m) …``?"""
    return is_given(bottom) and not is_given(top) and (top.kind != "name" or not top.scalar)


class Text(NumPy):
    """For the terminal: the lecture's juxtaposition for matrix products, ∗ element by element."""

    booleans = False
    minus = "−"
    times = " ∗ "

    def number(self, tree: Tree) -> tuple[str, int]:
        text = quotient(tree.value)
        return text, WHOLE if "/" not in text else PRODUCT

    def multiply(self, tree: Tree) -> tuple[str, int]:
        texts = [
            self(part, PRODUCT if i == 0 and part.kind != "divide" else MATMUL)
            for i, part in enumerate(tree.parts)
        ]
        return self.times.join(texts), PRODUCT

    def divide(self, tree: Tree) -> tuple[str, int]:
        top, bottom = tree.parts
        if in_front(top, bottom):
            given, rest = self.given_and_rest(top)
            over = self.times.join(self(part, POWER) for part in given) or "1"
            return f"({over}/{self(bottom, POWER)}) {rest}", PRODUCT
        return (
            f"{self(top, MATMUL if top.kind != 'multiply' else PRODUCT)} / {self(bottom, POWER)}",
            PRODUCT,
        )

    def power(self, tree: Tree) -> tuple[str, int]:
        n = Fraction(tree.value)
        base = self(tree.parts[0], WHOLE)
        if n.denominator == 1:
            return f"{base}{str(n.numerator).translate(SUPERSCRIPTS)}", POWER
        return f"{base}^({n.numerator}/{n.denominator})", POWER

    def matmul(self, tree: Tree) -> tuple[str, int]:
        x, y = tree.parts
        return f"{self(x, MATMUL)} {self(y, MATMUL)}", MATMUL

    def transpose(self, tree: Tree) -> tuple[str, int]:
        if tree.value is not None:
            return super().transpose(tree)
        return f"{self(tree.parts[0], WHOLE)}ᵀ", WHOLE

    def call(self, tree: Tree) -> tuple[str, int]:
        op, options = tree.value
        if op.name in COMPARISONS:
            x, y = (self(part) for part in tree.parts)
            return f"({x} {'==' if op.name == 'equal' else op.symbol} {y})", WHOLE
        guarded = op.spelling is not None and len(tree.parts) > 1
        if op.definition is not None and (guarded or op.name in FORMULAS):
            return self.spelled(op.definition, tree)  # guards are for computers
        if op.name == "sigmoid":
            return f"σ({self(tree.parts[0])})", WHOLE
        if op.name in ("getitem", "scatter", "joined", "reshape", "clip", "ones", "eye") or (
            op.numpy is not None and "options" in op.numpy
        ):
            return super().call(tree)
        given = "".join(f", {k}={self.value(v)}" for k, v in options.items() if v is not None)
        if op.name in ("relu", "leaky_relu"):
            given = ""
        shown = {"absolute": "abs", "maximum": "max", "minimum": "min", "relu": "ReLU"}.get(
            op.name, op.name
        )
        if op.numpy is not None and op.numpy.startswith("{0}"):
            return super().call(tree)
        return f"{shown}({', '.join(self(part) for part in tree.parts)}{given})", WHOLE


class LaTeX(Notation):
    """LaTeX; a layer's number goes into brackets above, as in the lecture."""

    def bracket(self, text: str) -> str:
        return rf"\left({text}\right)"

    def number(self, tree: Tree) -> tuple[str, int]:
        c = Fraction(tree.value)
        text = quotient(c)
        if "/" in text:
            return rf"\frac{{{c.numerator}}}{{{c.denominator}}}", WHOLE
        mantissa, e, exponent = text.partition("e")
        return (rf"{mantissa} \cdot 10^{{{int(exponent)}}}", PRODUCT) if e else (text, WHOLE)

    def name(self, tree: Tree) -> tuple[str, int]:
        text = latex_name(tree.value.name)
        return text, POWER if "^" in text else WHOLE

    def multiply(self, tree: Tree) -> tuple[str, int]:
        first, *rest = tree.parts
        texts = [self(first, PRODUCT), *(self(part, MATMUL) for part in rest)]
        return self.times.join(texts), PRODUCT

    def divide(self, tree: Tree) -> tuple[str, int]:
        top, bottom = tree.parts
        if in_front(top, bottom):
            given, rest = self.given_and_rest(top)
            over = r" \, ".join(self(part) for part in given) or "1"
            return rf"\frac{{{over}}}{{{self(bottom)}}} {rest}", PRODUCT
        return rf"\frac{{{self(top)}}}{{{self(bottom)}}}", PRODUCT

    def power(self, tree: Tree) -> tuple[str, int]:
        n = Fraction(tree.value)
        exponent = str(n.numerator) if n.denominator == 1 else rf"{n.numerator}/{n.denominator}"
        return rf"{self(tree.parts[0], WHOLE)}^{{{exponent}}}", POWER

    def matmul(self, tree: Tree) -> tuple[str, int]:
        x, y = tree.parts
        return f"{self(x, MATMUL)} {self(y, MATMUL)}", MATMUL

    def transpose(self, tree: Tree) -> tuple[str, int]:
        part = tree.parts[0]
        if part.kind == "name":
            text, _ = self.name(part)
            if text.endswith("]}"):
                return text[:-1] + r"\top}", POWER
        return rf"{self(part, WHOLE)}^{{\top}}", POWER

    def sum(self, tree: Tree) -> tuple[str, int]:
        axis, stays = self.sum_options(tree)
        options = (rf",\ \mathrm{{axis}}={axis}" if axis else "") + (
            r",\ \mathrm{keepdims}=\mathrm{True}" if stays else ""
        )
        inner = self(tree.parts[0])
        return rf"\operatorname{{np.{tree.kind}}}\left({inner}{options}\right)", WHOLE

    mean = sum

    def where(self, tree: Tree) -> tuple[str, int]:
        mask, x, y = (self(part) for part in tree.parts)
        return (
            rf"\begin{{cases}}{x} & \text{{if }} {mask}\\ {y} & \text{{otherwise}}\end{{cases}}",
            SUM,
        )

    def call(self, tree: Tree) -> tuple[str, int]:
        op, options = tree.value
        if op.name == "joined":
            texts = ", ".join(self(part) for part in tree.parts)
            return rf"\operatorname{{concat}}\left({texts}\right)", WHOLE
        index = escaped(self.index(options["index"])) if "index" in options else ""
        if op.name == "getitem":
            return f"{{{self(tree.parts[0], WHOLE)}}}_{{[{index}]}}", POWER
        template = op.latex
        if op.name in COMPARISONS:
            return template.format(*(self(part, PRODUCT) for part in tree.parts)), WHOLE
        least = SUM if "({0}" in template or "{{{0}}}" in template else WHOLE
        shown = [self(part, least) for part in tree.parts]
        return template.format(*shown, index=index), POWER


def escaped(text: str) -> str:
    """Text as LaTeX takes it."""
    return re.sub(r"([#$%&_{}])", r"\\\1", text)


def latex_name(name: str) -> str:
    """A name as the lecture writes it: ``W2`` is W with [2] above, ``w11_2`` has 11 below too."""
    if "." in name or "[" in name:
        return rf"\mathtt{{{escaped(name)}}}"
    match = re.fullmatch(r"(d?)([A-Za-z]+?)(\d*)(?:_(\d+))?", name)
    if match is None:
        return rf"\mathit{{{escaped(name)}}}"
    d, letters, digits, layer = match.groups()
    if d and (letters.lower() in GREEK or len(letters) >= 1) and letters:
        pass
    elif not letters:
        d, letters = "", d
    below, above = (digits, layer) if layer else ("", digits)
    text = letter(letters)
    if below:
        text += f"_{{{below}}}"
    if above:
        text += f"^{{[{above}]}}"
    return d + text


def letter(letters: str) -> str:
    """A letter, a Greek letter by its name, a hat; a longer word in italics."""
    word = letters.removesuffix("hat") if letters.endswith("hat") and len(letters) > 3 else letters
    plain = "lambda" if word == "lambd" else word
    text = rf"\{plain}" if plain in GREEK else plain if len(plain) == 1 else rf"\mathit{{{plain}}}"
    return rf"\hat{{{text}}}" if word != letters else text


def evaluate(tree: Tree, numbers: Callable[[Atom], Any]) -> Any:
    """The number a tree stands for, computed as it is written."""
    kind, value = tree.kind, tree.value
    if kind == "number":
        return float(value)
    if kind == "name":
        return NOT_FINITE[value.name] if value.name in NOT_FINITE else numbers(value)
    parts = [evaluate(part, numbers) for part in tree.parts]
    if kind == "add":
        total = parts[0] if value[0] > 0 else -parts[0]
        for sign, part in zip(value[1:], parts[1:]):
            total = total + part if sign > 0 else total - part
        return total
    if kind == "multiply":
        product = parts[0]
        for part in parts[1:]:
            product = product * part
        return product
    if kind == "divide":
        return np.divide(*parts)
    if kind == "power":
        n = Fraction(value)
        return np.power(parts[0], int(n) if n.denominator == 1 and n > 0 else float(n))
    if kind == "matmul":
        return np.matmul(*parts)
    if kind == "transpose":
        return np.transpose(parts[0], value)
    if kind in REDUCED:
        places, keepdims, _ = value
        reduce = np.sum if kind == "sum" else np.mean
        return reduce(parts[0], axis=places if tree.shape else None, keepdims=keepdims)
    if kind == "where":
        return np.where(np.asarray(parts[0]) != 0, parts[1], parts[2])
    op, options = value
    if op.name in TABLE and TABLE[op.name] is op:
        return op.evaluate(tuple(parts), options)
    return op.forward(*parts, **options)
