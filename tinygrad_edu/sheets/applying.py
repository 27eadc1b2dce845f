"""One operation of a formula, applied: charged to the account before it is computed."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any
from weakref import ref

import numpy as np

from tinygrad_edu.core.ops import arithmetic, factors, shaping
from tinygrad_edu.core.value import Value
from tinygrad_edu.rules.indices import is_basic
from tinygrad_edu.sheets import account as accounts
from tinygrad_edu.sheets.account import MOST_AXES, Account, entries_of, shape_of
from tinygrad_edu.sheets.vocabulary import (
    FUNCTIONS,
    LARGEST_WHOLE,
    METHODS,
    SINGLE,
    added,
    array,
    as_index,
    plain,
    scattered,
)

_OPERATORS: dict[str, Callable[..., Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "@": operator.matmul, "**": FUNCTIONS["power"], "//": operator.floordiv, "%": operator.mod,
    "&": FUNCTIONS["logical_and"], "|": FUNCTIONS["logical_or"], "~": FUNCTIONS["logical_not"],
    "neg": operator.neg, "pos": operator.pos, ">": FUNCTIONS["greater"],
    ">=": FUNCTIONS["greater_equal"], "<": FUNCTIONS["less"], "<=": FUNCTIONS["less_equal"],
    "==": FUNCTIONS["equal"], "!=": FUNCTIONS["not_equal"],
}  # fmt: skip
#: Arithmetic that arrays of floats need no care with while they are small.
_PLAIN = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "@": np.matmul,
}  # fmt: skip
_SMALL = 10_000
#: What nearly all operators are given.
_NUMBERS = frozenset({np.ndarray, np.float64, float, int, Value})
#: What takes all rows of a matrix for each of its entries.
_FACTORED = frozenset(
    f"linalg.{name}" for name in ("inv", "det", "slogdet", "solve", *factors.__all__)
)
_PRODUCTS = frozenset({"@", "dot", "matmul"})
#: How much dearer than an addition.
_DEAR = {
    "exp": 8, "log": 8, "tanh": 12, "**": 12, "power": 12, "softmax": 16, "sigmoid": 12,
    "cumsum": 4, "var": 4, "std": 4, "norm": 4, "linalg.norm": 4, "prod": 3_000, "repeat": 4,
}  # fmt: skip
#: Entry by entry: the result is as large as all arguments broadcast together. Of anything else it
#: is no larger than the arguments, or than the function allows that makes it.
_ENTRYWISE = frozenset(
    name for name in FUNCTIONS if isinstance(getattr(np, name, None), np.ufunc)
) - {"matmul"} | {"where", "clip", "leaky_relu", *SINGLE} | {
    name for name in FUNCTIONS if name.startswith("leaky_relu_")
}  # fmt: skip
#: What a list costs for each number where it is made an array, and an index array for each entry.
_LISTED, _PICKED = 1_000, 10
_COLLECTIONS = (list, tuple, dict)


def apply(op: str, extra: Any, args: list[Any], account: Account) -> Any:
    """The result of one operation of a formula; may raise what NumPy raises for misfits."""
    if op in _PLAIN:
        x, y = args
        if type(x) is np.ndarray or type(y) is np.ndarray:
            entries = _plain_size(x) * _plain_size(y)
            if 0 < entries <= _SMALL:
                account.charge(entries)
                result = _PLAIN[op](x, y)
                return result if result.ndim else result[()]
    other = _NO_OPERATORS.get(op)
    result = _operate(op, args, account) if other is None else other(extra, args, account)
    return _result(result, account)


def _plain_size(x: Any) -> int:
    """How many numbers an array of floats has, or a Python number; 0 of anything else."""
    if type(x) is np.ndarray:
        return x.size if x.dtype == np.float64 else 0
    return 1 if type(x) is float or type(x) is int else 0


def _result(x: Any, account: Account) -> Any:
    if isinstance(x, (np.ndarray, Value)) and x.ndim > MOST_AXES:
        raise ValueError(f"{x.ndim} axes are more than a sheet may use")
    if isinstance(x, np.ndarray):
        if x.dtype.kind not in "fiub":
            raise TypeError("a formula of a sheet computes real numbers")
        account.charge(x.size)
        return x if x.ndim else x[()]
    if type(x) is int and abs(x) > LARGEST_WHOLE:
        return float(x)
    return x


def _charge(name: str, args: list[Any], account: Account) -> None:
    """Account for an operation on all its arguments, named ones too, before it is computed."""
    each = _DEAR.get(name, 1)
    if len(args) == 2:  # what nearly every operation is
        x, y = args
        entries = (x.size if isinstance(x, (Value, np.ndarray)) else 1) * (
            y.size if isinstance(y, (Value, np.ndarray)) else 1
        )
        if entries <= _SMALL and not isinstance(x, _COLLECTIONS) and type(y) not in _COLLECTIONS:
            account.charge(entries, each)
            return
    if any(isinstance(a, dict) for a in args):
        raise TypeError("a dictionary is no array: take one of its entries, hs[t]")
    for a in args:
        if isinstance(a, (list, tuple)):
            account.charge(entries_of(a), _LISTED)
    if name in _PRODUCTS and len(args) > 1:
        account.charge(*accounts.product(*args[:2]))
    elif _is_factored(name, args) and len(shape_of(args[0])) > 1:
        account.charge(math.prod(shape_of(args[0])), 10 * max(1, *shape_of(args[0])[-2:]))
    elif name in _ENTRYWISE or name in _OPERATORS:
        account.charge(accounts.broadcast(args), each)
    else:
        account.charge(sum(a.size for a in args if isinstance(a, (Value, np.ndarray))), each)


def _is_factored(name: str, args: list[Any]) -> bool:
    """Is a matrix taken apart? For some norms too."""
    orders = [x for x in args[1:] if isinstance(x, (int, float, str))]
    return name in _FACTORED or (
        name in ("norm", "linalg.norm") and any(x in ("nuc", 2, -2) for x in orders)
    )


def _operate(op: str, args: list[Any], account: Account) -> Any:
    if not _NUMBERS.issuperset(map(type, args)):
        for a in args:
            if a is None or isinstance(a, (str, slice)) or a is Ellipsis:
                raise TypeError(f"{a!r} is not a number")
        if any(isinstance(a, (tuple, list)) for a in args):
            account.charge(entries_of(args), _LISTED)
            if op == "+" and all(isinstance(a, (tuple, list)) for a in args):
                return type(args[0])([*args[0], *args[1]])  # shapes put together
            args = [array(list(a)) if isinstance(a, (tuple, list)) else a for a in args]
    _charge(op, args, account)
    if len(args) == 2:
        args = [np.float64(a) if type(a) is bool else a for a in args]
        if op in "/":
            args = [np.float64(a) if isinstance(a, (int, float)) else a for a in args]
        if op == "-":  # NumPy refuses to subtract booleans; learners mean numbers
            args = [_number_of_mask(a) for a in args]
    elif op == "neg":
        args = [_number_of_mask(args[0])]
    return _OPERATORS[op](*args)


def _number_of_mask(a: Any) -> Any:
    return a.astype(float) if isinstance(a, (np.ndarray, np.bool_)) and a.dtype == bool else a


def _slice(_: Any, args: list[Any], account: Account) -> slice:
    return slice(*(None if a is None else operator.index(plain(a)) for a in args))


def _tuple(_: Any, args: list[Any], account: Account) -> tuple[Any, ...]:
    account.charge(entries_of(args), 0.0)  # what they hold is there already
    account.spend(_LISTED * len(args))
    return tuple(args)


def _list(_: Any, args: list[Any], account: Account) -> list[Any]:
    return list(_tuple(_, args, account))


def _called(table: Mapping[str, Callable[..., Any]]) -> Callable[[Any, list[Any], Account], Any]:
    def call(extra: Any, args: list[Any], account: Account) -> Any:
        name, options = extra
        _charge(name, args, account)
        split = len(args) - len(options)
        return table[name](*args[:split], **dict(zip(options, args[split:], strict=True)))

    return call


def _attribute(what: str, args: list[Any], account: Account) -> Any:
    (x,) = args
    account.charge(entries_of(x))
    if what == "T":
        return x.T if isinstance(x, Value) else np.transpose(x)
    shape = tuple(shape_of(x))
    return shape if what == "shape" else len(shape) if what == "ndim" else math.prod(shape)


def _index(_: Any, args: list[Any], account: Account) -> Any:
    x, *parts = args
    account.charge(sum(map(entries_of, parts)), _PICKED)
    index = as_index(parts)
    if isinstance(x, dict):
        if _key(index) not in x:
            raise IndexError("nothing has been put there yet")
        return x[_key(index)]
    if isinstance(x, (tuple, list)):
        return x[index if isinstance(index, slice) else operator.index(index)]
    if not isinstance(x, Value):
        x = np.asarray(x)
    account.charge(accounts.indexed(shape_of(x), index), _PICKED)
    return x[index]


def _changed(x: Any, parts: list[Any], new: Any, account: Account) -> tuple[Any, Any]:
    """An index, and the array to change; both copies and what is put in are accounted for."""
    account.charge(sum(map(entries_of, [x, *parts, new])), _PICKED)
    index = as_index(parts)
    account.charge(accounts.indexed(shape_of(x), index), 4 * _PICKED)
    return index, x if isinstance(x, Value) else np.array(x, dtype=float)


#: Of arrays that were zeros, by their identity, which entries have been put there: what is put
#: where there are zeros is added.
_FILLED: dict[int, tuple[ref[Value], np.ndarray[Any, Any]]] = {}


def _filled(x: Any) -> np.ndarray[Any, Any] | None:
    """Which entries of an array are no longer the zeros it was made of; None if it was none."""
    if isinstance(x, Value):
        return _FILLED.get(id(x), (None, None))[1]
    return None if np.any(x) else np.zeros(np.shape(x), bool)


def _known_as(x: Value, filled: np.ndarray[Any, Any] | None, more: np.ndarray[Any, Any]) -> Value:
    """An array, remembered which of its entries have been put there."""
    if filled is not None:
        key = id(x)
        _FILLED[key] = ref(x, lambda _: _FILLED.pop(key, None)), filled | more
    return x


def _added_there(x: Any, index: Any, new: Any) -> Any:
    """What is new at an index besides what stood there; None where that is not kept."""
    if not (isinstance(x, Value) and isinstance(new, Value) and is_basic(index)):
        return None
    if new.op is not arithmetic.add or new.parents[0].op is not shaping.getitem:
        return None
    [of], there = new.parents[0].parents, new.parents[0].options["index"]
    return new.parents[1] if of is x and there == index else None


def _dictionary(keys: tuple[Any, ...], args: list[Any], account: Account) -> dict[Any, Any]:
    """What is kept by these keys."""
    found: dict[Any, Any] = {}
    for key, new in zip(keys, args, strict=True):
        found = _kept(found, key, new, account)
    return found


def _kept(x: dict[Any, Any], key: Any, new: Any, account: Account) -> dict[Any, Any]:
    """A dictionary with one entry more, or another one."""
    if isinstance(new, dict) or (
        isinstance(new, (list, tuple)) and any(isinstance(part, _COLLECTIONS) for part in new)
    ):
        raise TypeError("a dictionary keeps arrays and numbers here, and tuples of these")
    account.charge(len(x) + 1, _PICKED)
    return {**x, key: new}


def _key(index: Any) -> int | str:
    """What entries of a dictionary are known by: a name, or the number of a step in time."""
    if isinstance(index, str):
        return index
    try:
        return operator.index(plain(index))
    except TypeError:
        raise TypeError("a dictionary's keys are whole numbers here, or texts") from None


def _setitem(_: Any, args: list[Any], account: Account) -> Any:
    """A copy of an array with other numbers at an index."""
    x, *parts, new = args
    if isinstance(x, dict):
        return _kept(x, _key(as_index(parts)), new, account)
    index, result = _changed(x, parts, new, account)
    if not isinstance(x, Value) and not isinstance(new, Value):
        result[index] = new
        return result
    shape = shape_of(x)
    keep = np.ones(shape)
    keep[index] = 0.0
    if isinstance(new, Value) or np.ndim(new):
        filled, more = _filled(x), _added_there(x, index, new)
        if more is not None:  # y[i] += more
            return _known_as(x + scattered(more, index, shape), filled, keep == 0)
        put = scattered(new, index, shape)
        if filled is None or np.any(filled[index]):
            return x * keep + put
        return _known_as(x + put if isinstance(x, Value) else put, filled, keep == 0)
    return arithmetic.where(keep, x, float(new))


def _append(_: Any, args: list[Any], account: Account) -> list[Any]:
    """A longer list."""
    x, new = args
    if not isinstance(x, list):
        raise TypeError("append puts something at the end of a list, and this is none")
    account.charge(len(x) + 1, _PICKED)
    return [*x, new]


def _text(_: Any, args: list[Any], account: Account) -> str:
    """Texts and whole numbers one behind the other: a key."""
    if not all(isinstance(a, (str, int, np.integer)) for a in args):
        raise TypeError("a key is made of texts and whole numbers")
    account.charge(len(args), _LISTED)
    return "".join(map(str, args))


def _addat(_: Any, args: list[Any], account: Account) -> Any:
    """A copy of an array with numbers added at an index, repeated ones as often as they occur."""
    x, *parts, new = args
    index, result = _changed(x, parts, new, account)
    return added(x, index, new, result)


_NO_OPERATORS: dict[str, Callable[[Any, list[Any], Account], Any]] = {
    "slice": _slice, "tuple": _tuple, "list": _list, "call": _called(FUNCTIONS),
    "method": _called(METHODS), "attribute": _attribute, "index": _index, "setitem": _setitem,
    "addat": _addat, "dict": _dictionary, "append": _append, "text": _text,
}  # fmt: skip
