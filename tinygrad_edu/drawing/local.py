"""What happens at one operation: its formula, the rule of each input, the numbers it sends back.

The rules are those of the operation itself, run once on text and once on numbers.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.calculus.functions import weighted_sum
from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.ops import arithmetic, elementwise, linalg
from tinygrad_edu.core.ops.shaping import sum_to, summed_axes
from tinygrad_edu.core.primitive import Primitive, Shape, shape
from tinygrad_edu.core.sweep import fit, needs, sweep
from tinygrad_edu.drawing.text import visible

_ELEMENTWISE = (arithmetic.__name__, elementwise.__name__)

#: How tightly a formula holds together: a comparison, a sum, a product, a power, a name.
_TEST, _SUM, _PRODUCT, _POWER, _NAME = range(5)
_SIGNS = {
    "add": ("+", "+", _SUM), "subtract": ("-", "−", _SUM), "multiply": ("*", "∗", _PRODUCT),
    "matmul": ("@", "", _PRODUCT), "divide": ("/", "/", _PRODUCT), "xdivy": ("/", "/", _PRODUCT),
    "greater": (">", ">", _TEST), "greater_equal": ("≥", "≥", _TEST), "less": ("<", "<", _TEST),
    "less_equal": ("≤", "≤", _TEST), "equal": ("=", "=", _TEST), "not_equal": ("≠", "≠", _TEST),
}  # fmt: skip
#: Operations made for their last digits, which nobody writes: read by their definition.
_OPENED = {
    elementwise.tanh_slope, elementwise.power_term, elementwise.power_log,
    elementwise.divide_or_zero,
}  # fmt: skip
_UNCHANGED = {"broadcast_to", "positive"}  # the shapes beside the formula say what they do


class Written(Operators):
    """A formula as text and as MathML: what an operation, or a rule, is called with to be read."""

    __slots__ = ("_shape", "math", "text", "tight")

    def __init__(self, text: str, math: str, shape: Shape = (), tight: int = _NAME) -> None:
        self.text = text
        self.math = math
        self.tight = tight
        self._shape = shape

    @property
    def shape(self) -> Shape:
        return self._shape

    @classmethod
    def named(cls, name: str, shape: Shape = (), found: tuple[str, int] | None = None) -> Written:
        """A name; `found`: its letters and the layer it tells, a superscript in MathML."""
        math = f"<mi>{html.escape(visible(found[0] if found else name))}</mi>"
        if found:
            layer = f"<mrow><mo>[</mo><mn>{found[1]}</mn><mo>]</mo></mrow>"
            math = f"<msup>{math}{layer}</msup>"
        return cls(visible(name), math, shape)

    def gradient(self) -> Written:
        """The name of its gradient: ``dZ1`` of ``Z1``."""
        return Written(f"d{self.text}", f"<mrow><mi>d</mi>{self.math}</mrow>", self.shape)

    @classmethod
    def constant(cls, x: Any) -> Written:
        """A number, or an array too large to write down."""
        if np.ndim(x):
            return cls("[…]", "<mi>[…]</mi>", np.shape(x))
        text = f"{float(x):.6g}"
        return cls(text, f"<mn>{text}</mn>", (), _PRODUCT if text.startswith("-") else _NAME)

    @classmethod
    def _apply(cls, op: Primitive, args: tuple[Any, ...], options: dict[str, Any]) -> Written:
        if op in _OPENED:
            return op.definition(*args, **options)  # type: ignore[misc, no-any-return]
        xs = [x if isinstance(x, Written) else cls.constant(x) for x in args]
        size = op.shape_rule(*(shape(x) for x in args), **options)
        x = xs[0]
        if op.name in _SIGNS:
            return cls._between(op, x, xs[1], size)
        if op.name in _UNCHANGED:
            return cls(x.text, x.math, size, x.tight)
        if op.name == "negative":
            text, math = x.within(_POWER)
            return cls(f"-{text}", f"<mo>−</mo>{math}", size, _PRODUCT)
        if op.name == "power_constant":
            return cls._power(x, cls.constant(options["n"]), size)
        if op.name == "power":
            return cls._power(x, xs[1], size)
        text, math = x.within(_NAME)
        if op.name == "transpose":
            return cls(
                f"{text}ᵀ", f'<msup><mrow>{math}</mrow><mi mathvariant="normal">T</mi></msup>', size
            )
        if op.name == "getitem":
            return cls(f"{text}[…]", f"<mrow>{math}</mrow><mo>[…]</mo>", size)
        axis = options.get("axis")
        if op.name == "sum_to":
            leading, kept = summed_axes(x.shape, size)
            axes = (*leading, *kept)
            axis = None if not size else axes[0] if len(axes) == 1 else axes
        told = "" if axis is None else f", axis={axis}"
        called = op.symbol if op.symbol[0].isalpha() and op.symbol[0] not in "ΣΠ" else op.name
        called = "sum" if op.name == "sum_to" else called
        inside = "<mo>,</mo>".join(x.math for x in xs) + (f"<mtext>{told}</mtext>" if told else "")
        return cls(
            f"{called}({', '.join(x.text for x in xs)}{told})",
            f"<mi>{html.escape(called)}</mi><mo>(</mo>{inside}<mo>)</mo>",
            size,
        )

    @classmethod
    def _between(cls, op: Primitive, x: Written, y: Written, size: Shape) -> Written:
        sign, math_sign, tight = _SIGNS[op.name]
        if op.name == "multiply":
            for one, other in ((x, y), (y, x)):
                if one.text == "1":
                    return cls(other.text, other.math, size, other.tight)
            if x.text == y.text:
                return cls._power(x, cls.constant(2), size)
        associative = sign == "+" or (sign == "*" and "@" not in y.text)
        left, left_math = x.within(tight)
        right, right_math = y.within(tight if associative else tight + 1)
        if sign == "/":
            math = f"<mfrac><mrow>{x.math}</mrow><mrow>{y.math}</mrow></mfrac>"
        else:
            math = f"{left_math}<mo>{html.escape(math_sign)}</mo>{right_math}"
            if not math_sign:  # a matrix product is written by putting the factors side by side
                math = f'{left_math}<mspace width="0.25em"/>{right_math}'
        return cls(f"{left} {sign} {right}", math, size, tight)

    @classmethod
    def _power(cls, x: Written, n: Written, size: Shape) -> Written:
        (text, math), (exponent, _) = x.within(_NAME), n.within(_POWER)
        if "<msup>" in math and x.tight == _NAME:  # (A¹)², not A¹²
            math = f"<mo>(</mo>{math}<mo>)</mo>"
        math = f"<msup><mrow>{math}</mrow><mrow>{n.math}</mrow></msup>"
        return cls(f"{text}**{exponent}", math, size, _POWER)

    def within(self, tight: int) -> tuple[str, str]:
        """Text and MathML as part of something that holds together as tightly as `tight`."""
        if self.tight >= tight:
            return self.text, self.math
        return f"({self.text})", f"<mo>(</mo>{self.math}<mo>)</mo>"


def formula(node: Any, names: Mapping[Any, Written]) -> Written:
    """What `node` was computed by, in the names of its inputs: ``W1 @ X``."""
    try:
        return Written._apply(node.op, tuple(_inputs(node, names)), node.options)
    except (TypeError, ValueError, IndexError, AttributeError):  # no line of text says it
        return Written.named(node.op.name, node.shape)


def _inputs(node: Any, names: Mapping[Any, Written]) -> list[Written]:
    return [
        names[parent] if parent in names else Written.constant(x)
        for parent, x in zip(node.parents, node._inputs)
    ]


def swept(results: Iterable[Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """The gradients of a graph, by one sweep from what `backward` has left at its results, and the
    seeds of these; else none.

    What a leaf holds itself may be another graph's, on other data, or the sum of several: one
    picture shows one sweep. Where a result is computed from another, the other's gradient is its
    own seed and what arrives there.
    """
    seeds: dict[Any, Any] = {}
    found: dict[Any, Any] = {}
    with np.errstate(all="ignore"):
        for z in sorted(results, key=attrgetter("_created"), reverse=True):
            arrived = found.get(z)
            seed = z._grad if z._grad is None or arrived is None else z._grad - arrived
            if seed is None or (arrived is not None and not np.any(seed)):
                continue
            seeds[z] = seed
            root = z if len(seeds) == 1 else weighted_sum(list(seeds), list(seeds.values()))
            found = sweep(root, seed if root is z else 1.0)
    return found, seeds


class Contribution(NamedTuple):
    """What a line sends back to one of its inputs: by which rule, how much (None: not computed)."""

    input: int
    parent: Any
    rule: Written
    amount: Any


def inputs(line: Sequence[Any]) -> list[Any]:
    """What a line reads: a single operation's input at every use, else every value once."""
    if len(line) == 1:
        return list(line[0].parents)
    inside = set(line)
    return list(dict.fromkeys(p for node in line for p in node.parents if p not in inside))


def contributions(
    line: Sequence[Any], names: Mapping[Any, Written], dz: Written, grad: Any
) -> list[Contribution]:
    """What a line, its nodes oldest first, sends back to each of its inputs that needs a gradient.

    `dz`: what the line's own gradient is called; `grad`: its numbers, None where not known.
    """
    read = inputs(line)
    rules = _through(line, dz, partial(_written, names))
    amounts = {} if grad is None else _through(line, grad, _amount)
    return [Contribution(i, read[i], rules[i], amounts.get(i)) for i in sorted(rules)]


def _through(
    line: Sequence[Any], dz: Any, run: Callable[[Any, int, Any, Any], Any]
) -> dict[int, Any]:
    """The sweep through a line: what arrives at each of its inputs, by number, added up."""
    inside = set(line)
    place = {parent: i for i, parent in enumerate(inputs(line))}
    gradients = {line[-1]: dz}
    found: dict[Any, Any] = {}
    for node in reversed(line):
        if node not in gradients or node.op is None:
            continue
        for k, (rule, parent, asked) in enumerate(zip(node.op.rules, node.parents, needs(node))):
            if rule is None or not asked:
                continue
            into, key = found, k
            if len(line) > 1:
                into, key = (gradients, parent) if parent in inside else (found, place[parent])
            g = run(node, k, rule, gradients[node])
            into[key] = into[key] + g if key in into else g
    return found


def local_derivative(
    line: Sequence[Any], i: int, names: Mapping[Any, Written]
) -> tuple[str, Written, Any] | None:
    """The local derivative of a line by its i-th input: its side, as a formula, in numbers.

    Entry by entry (no side) where all steps are so; of ``W @ X + b`` by W it is ``Xᵀ`` on the
    right, by X ``Wᵀ`` on the left. None where entries are mixed in another way.
    """
    parent = inputs(line)[i]
    steps = [node for node in line if node.op is not None]
    products = [node for node in steps if node.op is linalg.matmul]
    rest = [node for node in steps if node.op is not linalg.matmul]
    if products and (len(products) > 1 or any(node.op is not arithmetic.add for node in rest)):
        return None
    for k, factor in enumerate(products[0].parents if products else ()):
        if factor is parent:
            return _beside(products[0], k, names)
    if any(node.op.forward.__module__ not in _ELEMENTWISE for node in rest):
        return None
    ones = 1.0 if type(line[-1]._data) is float else np.ones_like(line[-1]._data)[()]
    with np.errstate(all="ignore"):
        numbers = _through(line, ones, _unreduced)
    one = Written.constant(1.0)
    said = _through(line, one, partial(_written, names, as_it_is=True))
    return ("", said[i], numbers[i]) if i in said else None


def _beside(product: Any, k: int, names: Mapping[Any, Written]) -> tuple[str, Written, Any] | None:
    """The other factor of a matrix product, transposed."""
    if any(np.ndim(x) != 2 for x in product._inputs):
        return None
    other = _inputs(product, names)[1 - k]
    return ("right", "left")[k], other.T, product._inputs[1 - k].T


def _written(
    names: Mapping[Any, Written], node: Any, k: int, rule: Any, dz: Written, as_it_is: bool = False
) -> Written:
    """The rule of a node's k-th input as text, summed to the input's size unless `as_it_is`."""
    size = shape(node._inputs[k])
    try:
        said = rule(dz, names[node], *_inputs(node, names), **node.options)
        if not as_it_is and math.prod(shape(said)) > math.prod(size):
            said = sum_to(said, shape=size)
    except (TypeError, ValueError, IndexError, AttributeError):  # no line of text says it
        return Written.named(f"{dz.text} through {node.op.name}", size)
    return said if isinstance(said, Written) else Written.constant(said)


def _amount(node: Any, k: int, rule: Any, dz: Any) -> Any:
    with np.errstate(all="ignore"):
        return fit(_unreduced(node, k, rule, dz), node._inputs[k], node.op, dz)


def _unreduced(node: Any, k: int, rule: Any, dz: Any) -> Any:
    inputs = node._inputs
    try:
        return rule(dz, node._data, *inputs, **node.options)
    except (ArithmeticError, ValueError):  # where Python's floats raise, NumPy's answer inf or nan
        loud = [np.float64(x) if type(x) is float else x for x in inputs]
        return rule(np.float64(dz), np.float64(node._data), *loud, **node.options)
