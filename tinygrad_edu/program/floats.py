"""From Symbols that are single numbers to straight-line Python, where arrays are not worth it.

What is used once is written where it is used, so that ``tanh(w * x + b)`` stays one line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.ops import arithmetic as ar
from tinygrad_edu.core.ops import elementwise as el
from tinygrad_edu.core.primitive import Primitive
from tinygrad_edu.program.lowering import copysign
from tinygrad_edu.program.names import Names, number
from tinygrad_edu.program.symbol import Symbol, needed

#: Longer expressions get a line and a name of their own.
_LONGEST = 60
#: A number of a list that is read so often gets a name.
_OFTEN = 4
Run = Callable[..., tuple[Any, dict[str, Any]]]

#: How an operation on floats is written, and how tightly that binds.
_FORMS: dict[Primitive, tuple[str, int]] = {
    ar.add: ("{} + {}", 1), ar.subtract: ("{} - {}", 1), ar.multiply: ("{} * {}", 2),
    ar.divide: ("{} / {}", 2), ar.negative: ("-{}", 3),
    ar.maximum: ("larger({}, {})", 4), ar.minimum: ("smaller({}, {})", 4),
    ar.where: ("({1} if {0} else {2})", 4), ar.power_constant: ("power({}, {n})", 4),
    ar.greater: ("float({} > {})", 4), ar.greater_equal: ("float({} >= {})", 4),
    ar.less: ("float({} < {})", 4), ar.less_equal: ("float({} <= {})", 4),
    ar.equal: ("float({} == {})", 4), ar.not_equal: ("float({} != {})", 4),
    el.power: ("pow({}, {})", 4), copysign: ("copysign({}, {})", 4), el.absolute: ("fabs({})", 4),
    el.arctan: ("atan({})", 4),
    el.tanh_slope: ("(s if (s := 1.0 - {0} * {0}) > 0.01 else cosh({1}) ** -2.0)", 4),
    **{op: (f"{op.name}({{}})", 4) for op in (
        el.exp, el.expm1, el.log, el.log1p, el.log2, el.log10, el.sqrt, el.sin, el.cos, el.tan,
        el.sinh, el.cosh, el.tanh,
    )},
}  # fmt: skip

_DEFINED = {
    # C's power of -inf is another than NumPy's, which is asked where an error is raised.
    "power": (
        "def power(x, n):\n    if x == -float('inf'):\n        raise ValueError\n"
        "    return pow(x, n)\n"
    ),
    # Of 0.0 and -0.0 the second, as NumPy answers.
    "larger": "def larger(x, y):\n    return x if x > y or x != x else y\n",
    "smaller": "def smaller(x, y):\n    return x if x < y or x != x else y\n",
}
_MATH = (
    "atan copysign cos cosh exp expm1 fabs log log10 log1p log2 pow sin sinh sqrt tan tanh".split()
)


def _as_recorded(op: Primitive) -> Callable[..., Any]:
    """An operation on single numbers as a graph computes it, which asks NumPy where floats raise.

    Its result is NumPy's, and so is what is computed from it: nothing raises any more.
    """
    if op is ar.power_constant:
        return lambda x, n: np.float64(op.evaluate((float(x),), {"n": n}))
    return lambda *xs: np.float64(op.evaluate(tuple(map(float, xs)), {}))


#: The functions of the lines where floats raise.
_CAREFUL: dict[str, Callable[..., Any]] = {
    form.partition("(")[0]: _as_recorded(op)
    for op, (form, _) in _FORMS.items()
    if not form.startswith(("{", "-", "(", "float"))
} | {"float": np.float64}


def can_write(outputs: Sequence[Symbol]) -> bool:
    """Is everything a float, computed by operations that have a form here?"""
    return all(s.weak and (s.op is None or s.op in _FORMS) for s in needed(outputs))


def written(
    arguments: Mapping[str, Sequence[Symbol]], cost: Symbol, gradients: Mapping[str, list[Symbol]]
) -> str:
    """The program that computes `cost` and `gradients`. Arguments are lists of numbers."""
    names = Names(["program", "float", "s", *_MATH, *_DEFINED])
    text: dict[Symbol, str] = {}
    binds: dict[Symbol, int] = {}  # how tightly a text binds, if it is not a name
    parameters = []
    body: list[str] = []
    temporary: set[str] = set()
    results = {cost, *(g for part in gradients.values() for g in part)}
    order = needed(results)
    uses = _uses(order, results)
    for key, symbols in arguments.items():
        parameters.append(names.name(key))
        for k, s in enumerate(symbols):
            text[s] = f"{parameters[-1]}[{k}]" if len(symbols) > 1 else parameters[-1]
            if len(symbols) > 1 and uses.get(s, 0) >= _OFTEN:
                text[s] = names.name(f"{parameters[-1]}{k}")
                body.append(f"{text[s]} = {parameters[-1]}[{k}]")
    for s in order:
        if s.op is None:
            if s.constant:
                text[s] = number(s.value)
            continue
        line, tight = _expression(s, text, binds)
        short = len(line) <= _LONGEST or s.op is el.tanh_slope
        if uses[s] == 1 and short and s.name is None:
            text[s], binds[s] = line, tight
        else:
            text[s] = names.name(s.name) if s.name else names.fresh("t")
            if s.name is None and s not in results:
                temporary.add(text[s])
            body.append(f"{text[s]} = {line}")
    body = _reusing(body, temporary)
    found = []
    for key, part in gradients.items():
        one = ", ".join(text[g] for g in part)
        found.append(f"{key!r}: {one}" if len(part) == 1 else f"{key!r}: [{one}]")
    body.append(f"return {text[cost]}, {{{', '.join(found)}}}")
    called = _called(body)
    defined = [text for name, text in _DEFINED.items() if name in called]
    called |= _called(defined)
    used = [name for name in _MATH if name in called]
    above = [f"from math import {', '.join(used)}\n"] if used else []
    above += [f"\n{text}" for text in defined]
    lines = [
        *above,
        "",
        f"def program({', '.join(parameters)}):",
        *(f"    {line}" for line in body),
        "",
    ]
    return "\n".join(lines)


def _uses(order: Sequence[Symbol], results: Iterable[Symbol]) -> dict[Symbol, int]:
    """How often each Symbol stands in the lines; what is handed out has a line of its own."""
    uses = dict.fromkeys(results, 2)
    for s in order:
        for k, x in enumerate(s.parents):
            # A slope of tanh(x) = z has z twice, and x hardly ever runs.
            uses[x] = uses.get(x, 0) + (2 - 2 * k if s.op is el.tanh_slope else 1)
    return uses


def _expression(
    s: Symbol, text: Mapping[Symbol, str], binds: Mapping[Symbol, int]
) -> tuple[str, int]:
    """An operation as it is written, and how tightly that binds.

    The order of what is written is the order of what was recorded: never regrouped.
    """
    assert s.op is not None
    form, tight = _FORMS[s.op]
    args = [text[x] for x in s.parents]
    if s.op is ar.where:  # a float() is NumPy's where these lines answer as NumPy does
        args = [f"float({a})" if x.constant else a for x, a in zip(s.parents, args)]
    if tight < 4:
        args = [
            f"({a})" if binds.get(x, 4) < tight + k else a
            for k, (x, a) in enumerate(zip(s.parents, args))
        ]
    return form.format(*args, **{k: number(float(n)) for k, n in s.options.items()}), tight


def _called(texts: Sequence[str]) -> set[str]:
    """The functions that are called."""
    return set(re.findall(r"\b(\w+)\(", "\n".join(texts)))


def _reusing(body: list[str], temporary: set[str]) -> list[str]:
    """The same lines with a name given again once nothing later reads it: few names are fast."""
    split = re.compile(r"\b(t\w+)").split  # every second part is a word
    parts = [split(line) for line in body]
    words = [[w for w in part[1::2] if w in temporary] for part in parts]
    last = {w: i for i, found in enumerate(words) for w in found}
    free: list[str] = []
    now: dict[str, str] = {}
    lines = []
    for i, line in enumerate(body):
        made = line.partition(" = ")[0]
        free += [now[w] for w in dict.fromkeys(words[i]) if last[w] == i and w != made]
        if made in temporary:
            now[made] = free.pop() if free else made
        part = parts[i]
        part[1::2] = [now.get(w, w) for w in part[1::2]]
        lines.append("".join(part))
    return lines


def lines(code: Any) -> Run:
    """The compiled lines, ready to run; where floats raise, they answer as NumPy does."""
    # Our own text: every name in it was made or checked by `names`.
    space: dict[str, Any] = {"__name__": "program"}
    exec(code, space)  # noqa: S102
    quick: Run = space.pop("program")
    space = {"__name__": "program"}
    exec(code, space)  # noqa: S102
    space.update(_CAREFUL)
    careful: Run = space.pop("program")

    def run(*numbers: Any) -> tuple[Any, dict[str, Any]]:
        try:
            return quick(*numbers)
        except (ArithmeticError, ValueError):
            loud = [np.float64(x) if type(x) is float else [*map(np.float64, x)] for x in numbers]
            return careful(*loud)

    return run
