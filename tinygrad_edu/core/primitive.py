"""A primitive: one operation, declared once, with everything any reader of a graph may ask of it.

A declaration gives the NumPy forward, one derivative rule per input, the shape of the result and
how the operation is written. Rules are written with operations and operators only, and may look at
shapes and options but never at numbers; so the same rule runs on arrays (gradients), on Values
(gradients that are graphs) and on formulas (the lines of a lecture). This module does not know
which of them it is given.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy import float64, ndarray

from tinygrad_edu.core.habits import no_argument
from tinygrad_edu.core.options import LIMITS, owned
from tinygrad_edu.core.plain import printable

P = ParamSpec("P")
R = TypeVar("R")
Rule = Callable[..., Any]
_FLOAT64 = np.dtype(float64)
_FLOAT32 = np.dtype(np.float32)
Shape = tuple[int, ...]


class GradError(ValueError):
    """Something about a graph or a gradient is wrong; the message says what and where."""

    def __str__(self) -> str:
        return printable(super().__str__())


class GradIndexError(GradError, IndexError):
    """An index that does not fit; also an ``IndexError``, for code that expects NumPy's."""


class GradLinAlgError(GradError, np.linalg.LinAlgError):
    """A matrix without an inverse, without a factor; also NumPy's own error."""


class Traced:
    """What a primitive can be run on besides plain numbers: a Value, a formula.

    A subclass says in `_apply` what becomes of an operation one of whose inputs it is.
    """

    __slots__ = ()
    # NumPy asks the operand of highest priority first: `array * traced` is no object array.
    __array_priority__ = 1000

    @classmethod
    def _apply(cls, op: Primitive, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        raise NotImplementedError

    @property
    def shape(self) -> Shape:
        raise NotImplementedError


def shape(x: Any) -> Shape:
    """The shape of a number, an array, a Value or a formula. Raises TypeError for a ragged list."""
    if type(x) is float:
        return ()
    if not isinstance(x, (ndarray, Traced)):
        x = asarray(x)
    found: Shape = x.shape
    return found


def asarray(x: Any, what: str = "") -> Any:
    """`x` as an array of real numbers. Raises TypeError for what is none; `what` is it called?"""
    about = what and f"{what}: "
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise TypeError(f"{about}cannot read {type(x).__name__} as numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{about}real numbers are needed, not {x!r:.60}")
    return array


#: Types of options that nobody can change between forward and backward, right for any option.
_IMMUTABLE = frozenset({int, type(None)})


#: What an operation may be, beside its derivative; readers of a graph ask this instead of keeping
#: lists of names.
TRAITS = {
    "elementwise": "each entry of the result is made of the entries at its place, broadcast",
    "linear": "of sums and multiples of all its inputs come sums and multiples",
    "bilinear": "linear in each of its two inputs alone",
    "axes": "works along axes: what stands along one is mixed",
    "moves": "entries go to other places, unchanged",
    "exact": "the numbers it gives are among those it was given, zero or one: nothing is rounded",
    "cancels": "what it gives may be small beside what it is given",
    "kinked": "its value or its slope jumps somewhere",
    "compares": "answers yes or no, as 1 and 0",
    "activation": "what a layer applies to its pre-activation",
    "opened": "made for its last digits or for an edge: formulas read it by its definition",
}


def parameters(f: Any) -> tuple[str, ...]:
    """What a function of Python's calls its arguments; `inspect.signature` takes long."""
    code = getattr(f, "__wrapped__", f).__code__
    names: tuple[str, ...] = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return names


class Each:
    """One rule for any number of inputs, which gives the contributions of all, one after another.

    It is ``rule(dz, z, *inputs, **options)``, an iterator. Iterated over, an `Each` gives a rule
    for each input alone, as other operations have; a sweep asks for all at once, because thousands
    of inputs taken one by one, each with all the others as arguments, would take quadratic time.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def __iter__(self) -> Iterator[Rule]:
        return (functools.partial(self._one, i) for i in itertools.count())

    def _one(self, i: int, *args: Any, **options: Any) -> Any:
        return next(itertools.islice(self.rule(*args, **options), i, None))


class Primitive:
    """An operation: callable on numbers, Values and formulas alike.

    Attributes: `forward` (arrays in, array out), `scalar` (the same on Python floats, where that is
    faster), `rules` (one per input; ``None`` where the derivative is zero), `shape_rule`,
    `definition` (the same in terms of simpler operations, if it has one), `spelling` (the same as
    NumPy can say it where the definition would overflow or divide by 0), `add_into` (for a rule
    whose gradient is mostly zeros: ``add_into(array, dz, **options)`` adds only what is not),
    `with_slope` (where result and derivative share most of their work: the result of `forward` and
    what the first rule would compute again, or None; the sweep hands it to that rule as
    ``slope=``), `general` (the same with more arguments, made of other operations:
    ``norm(x, ord=1)``), `called` (the name that users know, for errors), `traits` (see `TRAITS`),
    and the notation: `symbol` in pictures, `numpy` and `latex` as templates over the inputs.
    """

    # Slots are found faster than a dictionary's entries, and a graph asks for these at every node.
    __slots__ = (
        "__dict__", "add_into", "called", "compact", "definition", "differentiable", "forward",
        "general", "latex", "n_inputs", "name", "numpy", "options", "parameters", "rules", "scalar",
        "shape_rule", "spelling", "symbol", "traits", "variadic", "with_slope",
    )  # fmt: skip

    def __init__(
        self,
        forward: Callable[..., Any],
        rules: tuple[Rule | None, ...] | Each,
        *,
        scalar: Callable[..., Any] | None = None,
        shape: Callable[..., Shape] | None = None,
        definition: Callable[..., Any] | None = None,
        spelling: Callable[..., Any] | None = None,
        add_into: Callable[..., None] | None = None,
        with_slope: Callable[..., tuple[Any, Any]] | None = None,
        general: Callable[..., Any] | None = None,
        called: str | None = None,
        symbol: str | None = None,
        numpy: str | None = None,
        latex: str | None = None,
        traits: Iterable[str] = (),
    ) -> None:
        functools.update_wrapper(self, forward)
        self.name = forward.__name__
        self.forward = forward
        self.rules = rules
        self.scalar = scalar
        self.shape_rule = shape or (lambda *shapes, **_: np.broadcast_shapes(*shapes))
        self.definition = definition
        self.spelling = spelling
        self.add_into = add_into
        self.with_slope = with_slope
        self.general = general
        self.called = called or self.name
        self.symbol = symbol or self.name
        self.numpy = numpy
        self.latex = latex or rf"\operatorname{{{self.name}}}".replace("_", r"\_") + "({0})"
        self.traits = frozenset(traits)
        if not self.traits <= TRAITS.keys():
            unknown = min(self.traits - TRAITS.keys())
            raise GradError(f"{self.name}: no trait {unknown!r}; there are {', '.join(TRAITS)}")
        self.variadic = isinstance(rules, Each)
        given = () if isinstance(rules, Each) else rules
        self.n_inputs = len(given)
        self.differentiable = self.variadic or any(rule is not None for rule in given)
        #: One or two inputs, each with a rule: what a node has slots for.
        self.compact = 0 < len(given) < 3 and None not in given
        self.parameters = parameters(forward)
        self.options = frozenset(self.parameters[self.n_inputs :])

    def __call__(self, *args: Any, **options: Any) -> Any:
        if options or len(args) != self.n_inputs:
            if self.general is not None and self._is_general(args, options):
                return self.general(*args, **options)
            args, options = self._sorted(args, options)
        odd = False
        for arg in args:
            if type(arg) is float:
                continue
            if isinstance(arg, Traced):
                return arg._apply(self, args, options)
            if type(arg) is not ndarray or (
                arg.dtype is not _FLOAT64 and arg.dtype is not _FLOAT32
            ):
                odd = True
        if odd:
            args = _numbers(self.called, args)
        try:
            return self.evaluate(args, options)
        except (IndexError, OverflowError, ValueError) as error:
            shapes = [shape(x) for x in args]
            given = tuple(f"shape {size}" for size in shapes)
            raise misfit(self, given, shapes, options, error) from None

    def __repr__(self) -> str:
        return f"<operation {self.name}>"

    def __str__(self) -> str:
        return self.called

    def __reduce__(self) -> str:
        return self.name  # pickled by reference: an operation is a constant of its module

    def _sorted(
        self, args: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What was given as inputs and options, the latter as nobody can change them."""
        if not self.options.issuperset(options) or (
            len(args) != self.n_inputs and not self.variadic
        ):
            args, options = self._bind(args, options)
        for key, value in options.items():
            if type(value) not in _IMMUTABLE:
                value = _held(value, f"{self.name}: {key}=")
                options = {**options, key: owned(self.name, key, value)}
        return args, options

    def _is_general(self, args: tuple[Any, ...], options: dict[str, Any]) -> bool:
        """Is there an argument that only `general` has, or a limit that is no plain number?"""
        given = {**dict(zip(self.parameters[self.n_inputs :], args[self.n_inputs :])), **options}
        more = set(parameters(self.general)).difference(self.parameters)
        return not more.isdisjoint(given) or any(
            isinstance(given.get(key), Traced) for key in LIMITS
        )

    def _bind(
        self, args: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sort what was given into inputs and options, by position or by name as NumPy users do."""
        if self.variadic:
            unknown = min(options.keys() - self.options)
            raise no_argument(self.name, unknown, self.options)
        given = dict(zip(self.parameters, args, strict=False))
        if len(args) > len(self.parameters):
            raise TypeError(
                f"{self.name}() takes {', '.join(self.parameters)}: {len(args)} values were given"
            )
        for key, value in options.items():
            if key not in self.parameters:
                more = () if self.general is None else parameters(self.general)
                raise no_argument(self.name, key, (*self.parameters, *more))
            if key in given:
                raise TypeError(f"{self.name}() was given {key} twice")
            given[key] = value
        names = self.parameters[: self.n_inputs]
        missing = [name for name in names if name not in given]
        if missing:
            raise TypeError(f"{self.name}() needs {', '.join(missing)}")
        inputs = tuple(given.pop(name) for name in names)
        return inputs, given

    def evaluate(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The result on plain numbers: a Python float, a float32 scalar or an array."""
        if (
            self.scalar is not None
            and not options  # and of one, two or three arguments all are floats
            and type(args[0]) is type(args[len(args) // 2]) is type(args[-1]) is float
        ):
            try:
                return self.scalar(*args)
            except (ArithmeticError, ValueError):
                pass  # where Python raises, an array would answer inf or nan: ask NumPy below
        z = self.forward(*args, **options) if options else self.forward(*args)
        return z if type(z) is ndarray and z.ndim else plain(z)


def held_as(dtype: np.dtype[Any], what: str) -> np.dtype[Any]:
    """The dtype in which floats of another are held: float64 and float32 as they are, float16 as
    float32. Raises TypeError for longdouble."""
    if dtype.itemsize > _FLOAT64.itemsize:
        raise TypeError(
            f"{what}: {dtype} has more digits than this package computes with. Pass "
            "x.astype(float), which rounds to float64"
        )
    return np.dtype(np.float32) if dtype.itemsize < 4 else dtype.newbyteorder("=")


def _numbers(what: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Plain inputs of other precisions as `held_as` says. Raises TypeError for what is no numbers.

    Where none is a float, small integers and booleans become floats: NumPy would compute with half
    precision.
    """
    arrays = [
        x if type(x) is ndarray and x.dtype.kind in "fiub" else asarray(x, what) for x in args
    ]
    if "f" in [array.dtype.kind for array in arrays]:
        return tuple([_held(x, what) for x in args])
    small = [array.dtype.itemsize < 4 for array in arrays]
    return tuple([a.astype(float) if s else x for x, a, s in zip(args, arrays, small)])


def _held(x: Any, what: str) -> Any:
    """A plain input or option of another precision as `held_as` says."""
    dtype = getattr(x, "dtype", _FLOAT64)
    return x.astype(held_as(dtype, what)) if dtype.char in "eg" else x


def misfit(
    op: Primitive, given: tuple[str, ...], shapes: list[Shape], options: Any, error: Exception
) -> GradError:
    """The error of an operation whose inputs, described in words, do not fit; or its own words."""
    if isinstance(error, GradError):
        return error
    kind = GradIndexError if isinstance(error, IndexError) else GradError
    if isinstance(error, np.linalg.LinAlgError):
        kind = GradLinAlgError
    inputs = " and ".join(given)
    if op.name == "matmul":
        return kind(f"{op}: {inputs}{_no_product(*shapes)}")
    if "broadcast" in str(error) and len(given) > 1 and not options:
        return kind(f"{op}: {inputs} do not fit: axes must be equal or of length 1")
    text = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return kind(f"{op}: {inputs}{' with ' if text else ''}{text}: {error}")


def _no_product(x: Shape, y: Shape) -> str:
    """Why arrays of two shapes have no matrix product."""
    if not x or not y:
        return ": a single number has no matrix product; use *"
    if x[-1] == y[-2:][0]:
        return " do not fit: axes before the last two must be equal or of length 1"
    second = "first" if len(y) == 1 else "second to last"
    return (
        f" do not chain: the last axis of the first must be as long as the {second} of the second. "
        "Is a transpose (.T) missing?"
    )


def plain(z: Any) -> Any:
    """A NumPy result as this package holds numbers: 0-d float64 as a Python float."""
    if type(z) is ndarray:
        if z.ndim:
            return z
        z = z[()]
    return float(z) if type(z) is float64 else z


def operand(x: Any) -> Any:
    """`x` as something to compute with: a list becomes an array, a whole number a float.

    Raises TypeError where these are no real numbers.
    """
    if isinstance(x, Traced) or type(x) is float:
        return x
    array = asarray(x)
    return plain(array if array.dtype.kind == "f" else array.astype(float))


def yes_or_no(what: str, x: Any) -> bool:
    """A switch. Raises TypeError for what is neither True nor False."""
    if not isinstance(x, (bool, np.bool_)) and (type(x) is not int or x not in (0, 1)):
        raise TypeError(f"{what} is True or False, not {x!r:.60}")
    return bool(x)


def primitive(
    *rules: Rule | Each | None, **declared: Any
) -> Callable[[Callable[..., Any]], Primitive]:
    """Declare an operation: the decorated function is its forward, `rules` has one entry per input.

    A rule is ``rule(dz, z, *inputs, **options)``: from the gradient `dz` of the output `z` to that
    of one input, before broadcasting is undone (the sweep does that, once, for all rules).
    """

    def declare(forward: Callable[..., Any]) -> Primitive:
        if rules and isinstance(rules[0], Each):
            return Primitive(forward, rules[0], **declared)
        return Primitive(forward, rules, **declared)  # type: ignore[arg-type]

    return declare


def own_errors(f: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function made of operations, so that errors are its own: of a keyword that it does
    not take, and of an operation inside it.

    >>> tg.solve(np.eye(2), np.ones(3))
    Traceback (most recent call last):
    tinygrad_edu.core.primitive.GradError: solve: matmul: shape (2, 2) and shape (3,) do not ...
    """
    code, name = f.__code__, f.__name__
    known = frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])

    @functools.wraps(f)
    def call(*args: P.args, **options: P.kwargs) -> R:
        if options and not known.issuperset(options):
            raise no_argument(name, min(options.keys() - known), known)
        try:
            return f(*args, **options)
        except (ValueError, TypeError) as error:
            kind = type(error) if isinstance(error, (GradError, TypeError)) else GradError
            if str(error).startswith(name) and kind is type(error):
                raise
            raise kind(f"{name}: {error}") from None

    return call
