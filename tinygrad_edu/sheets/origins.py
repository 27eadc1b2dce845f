"""Where the numbers of a sheet come from: which of them are lengths, and what is data."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.calculus.axes import DATA, Length, Origins
from tinygrad_edu.core.value import Value
from tinygrad_edu.sheets.syntax import CASTS, Expr, is_length, show, takes_all

#: What a number is called that counts examples, where shapes are written as numbers.
COUNTS = re.compile(r"m|n|b|batch\w*|num\w*|n_\w+|samples|n\w", re.IGNORECASE)
#: A length made of others: ``h * d``, ``n - k + 1``.
FORMULA = re.compile(r"\w+( [-+*] \w+)*")
#: The length of something given, where that was declared by a number.
SHAPE = re.compile(r"\w+\.shape\[\d+\]")
#: A chain of names that stand for one another is followed no further than this.
_LONGEST = 20

Key = tuple[str, int]


def origins_of(
    givens: Mapping[str, Any],
    made: Mapping[Key, Expr],
    values: Mapping[Key, Any],
    constants: Mapping[Expr, Any],
) -> Origins:
    """What in a graph is a length, and what is data, by the words of the sheet.

    `givens` and `made` (the forward lines by the names they give) are the sheet's, `values` what
    they are in this graph, `constants` its nodes for numbers by their formulas.
    """
    search = _Search(givens, made, values)
    lengths = {
        node: found
        for e, node in constants.items()
        if isinstance(node, Value) and node.op is None and (found := search.powers(e))
    }
    data = frozenset(
        values[name, 0]
        for name, given in givens.items()
        if isinstance(values[name, 0], Value) and (given.is_data or DATA.fullmatch(name))
    )
    sizes = {name: x for (name, i), x in values.items() if i == 0 and isinstance(x, int)}
    plain = {
        name: show(e)
        for (name, i), e in made.items()
        if e.op != "number" and not i and search.is_plain(e) and search.is_plain_value((name, i))
    }
    indices, written = {}, {}
    for e, node in constants.items():
        if not isinstance(node, Value):
            continue
        if e.op == "index" and node.op is not None:
            indices[node] = tuple(map(search.part, e.args[1:]))
        elif node.ndim and node.op is None and e.op != "name" and search.is_plain(e):
            written[node] = show(e)
    called = search.called(constants)
    return Origins(lengths, data, called, sizes, indices, plain, written)


class _Search:
    """Looks up what the formulas of numbers are made of."""

    def __init__(
        self, givens: Mapping[str, Any], made: Mapping[Key, Expr], values: Mapping[Key, Any]
    ) -> None:
        self.givens, self.made, self.values = givens, made, values
        self.declared: dict[str, set[tuple[Value, int]]] = {}  # by the name of a size
        for name, given in givens.items():
            for axis, size in enumerate(given.sizes):
                if size is not None:
                    here = self.declared.setdefault(size, set())
                    if isinstance(values[name, 0], Value):
                        here.add((values[name, 0], axis))

    def powers(self, e: Expr, depth: int = 0) -> list[tuple[Length, int]]:
        """A number as a product of powers of lengths; nothing where it is none of these."""
        if depth > _LONGEST:
            return []
        if is_length(e):
            return self._of_shape(e)
        if e.op == "attribute" and e.extra == "size":
            of = self._quantity(e.args[0])
            return [] if of is None else [(_length(of, i), 1) for i in range(of.ndim)]
        if e.op == "name":
            return self._of_name(e, depth)
        if e.op in ("*", "/"):
            sign = 1 if e.op == "*" else -1
            below = [(length, sign * power) for length, power in self.powers(e.args[1], depth + 1)]
            return self.powers(e.args[0], depth + 1) + below
        if e.op in ("neg", "pos") or e.function in CASTS:
            return self.powers(e.args[0], depth + 1)
        return []

    def _of_name(self, name: Expr, depth: int) -> list[tuple[Length, int]]:
        made, value = self.made.get(name.extra), self.values.get(name.extra)
        if made is None or not isinstance(value, (int, float, np.number)):
            return []
        if name.extra[0] in self.declared:
            return [(Length(int(value), frozenset(self.declared[name.extra[0]])), 1)]
        if made.op == "number":
            counts = isinstance(made.extra, int) and COUNTS.fullmatch(name.extra[0])
            return [(Length(made.extra), 1)] if counts else []
        return self.powers(made, depth + 1)

    def called(self, constants: Mapping[Expr, Any]) -> dict[tuple[Value, int], str]:
        """What the lengths of given quantities, and those a reshape asks for, are called."""
        found: dict[tuple[Value, int], str] = {}
        for name, given in self.givens.items():
            if isinstance(of := self.values[name, 0], Value):
                found |= {(of, i): text for i, text in enumerate(given.sizes) if self._counts(text)}
        for e, node in constants.items():
            if e.function == "reshape" and isinstance(node, Value):
                parts = e.positional[1:]
                if len(parts) == 1 and parts[0].op in ("tuple", "list"):
                    parts = parts[0].args
                texts = [show(part) for part in parts]
                found |= {(node, i): text for i, text in enumerate(texts) if self._counts(text)}
            elif e.op == "index" and len(e.args) == 2 and isinstance(node, Value):
                for i, length in enumerate(self._lengths_of(e.args[1])):
                    if length is not None and (SHAPE.fullmatch(length) or self._counts(length)):
                        found[node, i] = length
        return found

    def _lengths_of(self, e: Expr, depth: int = 0) -> list[str | None]:
        """What the lengths of an array of whole numbers are called, as far as its formula tells."""
        if depth > _LONGEST:
            return []
        if e.op == "name" and e.extra[0] in self.givens:
            name, again = e.extra[0], (e.extra[0], 1) in self.made
            sizes = enumerate(self.givens[name].sizes)
            return [None if again else size or f"{name}.shape[{i}]" for i, size in sizes]
        if e.op == "name" and e.extra in self.made:
            return self._lengths_of(self.made[e.extra], depth + 1)
        if e.function in ("arange", "range") and len(e.args) == 1:
            return [show(e.args[0])]
        if e.op == "index":
            return self._realigned(self._lengths_of(e.args[0], depth + 1), e.args[1:])
        if e.op in ("+", "-", "*", "//", "%") and len(e.args) == 2:
            x, y = (self._lengths_of(a, depth + 1) for a in e.args)
            n = max(len(x), len(y))
            longer = [[*itertools.repeat(None, n - len(z)), *z] for z in (x, y)]
            return [b if a is None else a for a, b in zip(*longer, strict=True)]
        return []

    def _realigned(self, old: list[str | None], parts: tuple[Expr, ...]) -> list[str | None]:
        """The lengths of an array with axes put in: ``i[:, None]``."""
        rest, found = list(old), []
        for part in parts:
            whole = takes_all(part)
            if not whole and not (part.op == "number" and part.extra is None):
                return []
            found.append(rest.pop(0) if whole and rest else None)
        return found + rest

    def part(self, e: Expr) -> Any:
        """How a part of an index is written; of a slice, how its limits are."""
        if e.op == "slice":
            return tuple(map(self.part, e.args))
        known = e.op != "number" and all(not i and (n, 1) not in self.made for n, i in e.names)
        return show(e) if known else None

    def is_plain(self, e: Expr) -> bool:
        """Is a formula made of what is in no graph, each name given once?"""
        return all(
            not key[1] and (key[0], 1) not in self.made and self.is_plain_value(key)
            for key in e.names
        )

    def is_plain_value(self, key: Key) -> bool:
        """Is a name's value a number or an array that is in no graph?"""
        return isinstance(self.values.get(key), (int, np.number, np.ndarray))

    def _counts(self, text: str | None) -> bool:
        """Is this a formula of names that were given a whole number, and only one each?"""
        if text is None or not FORMULA.fullmatch(text):
            return False
        names = set(re.findall(r"[^\W\d]\w*", text))
        whole = (isinstance(self.values.get((name, 0)), int) for name in names)
        return bool(names) and all(whole) and not any((name, 1) in self.made for name in names)

    def _of_shape(self, e: Expr) -> list[tuple[Length, int]]:
        """``X.shape[i]``, ``np.shape(X)[i]``, ``len(X)``."""
        if e.op == "index":
            of, place = self._quantity(e.args[0].args[0]), _whole(e.args[1])
        else:
            of, place = self._quantity(e.args[0]), 0
        if of is None or place is None or not -of.ndim <= place < of.ndim:
            return []
        return [(_length(of, place % of.ndim), 1)]

    def _quantity(self, e: Expr) -> Any:
        """What a name stands for, if it has a shape."""
        value = self.values.get(e.extra) if e.op == "name" else None
        return value if isinstance(value, (Value, np.ndarray)) else None


def _length(of: Any, axis: int) -> Length:
    axes = {(of, axis)} if isinstance(of, Value) else ()  # plain numbers are in no graph
    return Length(of.shape[axis], frozenset(axes))


def _whole(e: Expr) -> int | None:
    """A whole number as it is written, −1 too."""
    if e.op == "neg":
        inner = _whole(e.args[0])
        return None if inner is None else -inner
    return e.extra if e.op == "number" and isinstance(e.extra, int) else None
