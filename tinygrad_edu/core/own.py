"""Operations of one's own, declared as the package's are."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.table import PUBLIC, TABLE
from tinygrad_edu.core.primitive import GradError, Primitive, Rule, Traced, yes_or_no
from tinygrad_edu.core.primitive import parameters as parameters_of

__all__ = ["Primitive", "primitive"]

_FLOAT = np.dtype(float)

#: What sheets may call besides the package's own, by name.
IN_SHEETS: dict[str, Callable[..., Any]] = {}


class OwnPrimitive(Primitive):
    """An operation whose declaration is looked at more closely: nobody has tested it yet."""

    def __init__(self, forward: Callable[..., Any], rules: Any, **declared: Any) -> None:
        for what in ("called", "symbol", "latex", "numpy"):
            if not isinstance(declared.get(what), (str, type(None))):
                raise TypeError(f"primitive: {what} is a text, not {declared[what]!r:.60}")
        for what in ("shape", "scalar", "definition", "spelling"):
            if declared.get(what) is not None and not callable(declared[what]):
                raise TypeError(f"primitive: {what} is a function, not {declared[what]!r:.60}")
        answering = functools.partial(_answered, forward.__name__)
        rules = tuple(map(answering, parameters_of(forward), rules))
        super().__init__(forward, rules, **declared)
        self.compact = False  # `evaluate` sees every call
        if self.numpy is None and self.definition is None:
            inputs = ", ".join(f"{{{i}}}" for i in range(self.n_inputs))
            self.numpy = f"{self.name}({inputs})"

    def evaluate(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The result, whose shape is to be the one declared."""
        # Masks and whole numbers are numbers to compute with.
        args = tuple([x * 1.0 if getattr(x, "dtype", _FLOAT).kind in "iub" else x for x in args])
        z = super().evaluate(args, options)
        shapes = [np.shape(x) for x in args]
        declared = self.shape_rule(*shapes, **options)
        if np.shape(z) != tuple(declared):
            raise GradError(
                f"{self.name}: of shapes {', '.join(map(str, shapes))} the forward makes "
                f"{np.shape(z)}, declared is {declared}. Pass shape=, a function of the inputs' "
                "shapes, if the result is not as large as these broadcast"
            )
        return z


def _answered(name: str, x: str, rule: Rule | None) -> Rule | None:
    """The rule of an input; what it gives is asked to be numbers."""
    if rule is None:
        return None

    @functools.wraps(rule)
    def answered(*args: Any, **options: Any) -> Any:
        g = rule(*args, **options)
        if isinstance(g, (Traced, int, float, list, tuple)) or hasattr(g, "dtype"):
            return g
        missing = ": is a return missing?" if g is None else ""
        raise TypeError(f"{name}: the rule for {x} gave {g!r:.60}, and no gradient{missing}")

    return answered


def _check_takes(rule: Rule, count: int) -> None:
    """Raise TypeError for a rule that cannot be given dz, z and so many inputs."""
    try:
        inspect.signature(rule).bind(*range(2 + count))
    except TypeError as error:
        inputs = "the input" if count == 1 else f"the {count} inputs"
        name = getattr(rule, "__name__", "this one")
        raise TypeError(
            f"primitive: a rule is given dz, z and {inputs}, which {name} does not take: {error}. "
            "The rules stand in brackets, @tg.primitive(rule), and the forward below them"
        ) from None
    except ValueError:
        pass  # written in C: it does not say what it takes


def primitive(
    *rules: Rule | None, sheet: bool = False, **declared: Any
) -> Callable[[Callable[..., Any]], Primitive]:
    """Declare an operation of one's own: a decorator for its forward, on arrays.

    `rules`: one for each input, in order, ``rule(dz, z, *inputs, **options)``: from the gradient dz
    of the result z to that of the input; None where the derivative is zero. Rules are written with
    operators and this package's functions (`tg.exp`, not `np.exp`), and may look at shapes and
    options but not at numbers: so they give gradients, derivatives of any order, and lines.
    Broadcasting is undone for them. Arguments of the forward beyond the inputs are options.

    `declared`: ``shape`` (a function of the inputs' shapes, where the result is not as large as
    these broadcast), ``definition`` (the same in terms of other operations), ``scalar`` (on Python
    floats), the notation ``symbol`` (in pictures), ``latex`` and ``numpy`` (templates:
    ``"{0}^3"``), and ``traits``; see `Primitive`. With ``sheet=True`` sheets may call it too.

    Whether the rules are right is not asked here: `tg.check_gradients` does.

    Raises GradError where rules and inputs are not as many, for a name that sheets know already,
    and, when it is called, for a shape that is not the declared one.

    >>> @tg.primitive(lambda dz, z, x: 3 * dz * x**2, latex="{0}^3")
    ... def cube(x):
    ...     return x**3
    >>> tg.grad(cube)(2.0)
    12.0
    """
    for rule in rules:
        if rule is not None and not callable(rule):
            raise TypeError(f"primitive: a rule is a function or None, not {rule!r:.60}")
        if rule is not None:
            _check_takes(rule, len(rules))

    sheet = yes_or_no("primitive: sheet", sheet)

    def declare(forward: Callable[..., Any]) -> Primitive:
        if not hasattr(forward, "__code__"):
            raise TypeError(
                f"primitive: the forward is a function, not {forward!r:.60}. The rules stand in "
                "brackets, @tg.primitive(rule), and the forward below them"
            )
        name, inputs = forward.__name__, parameters_of(forward)
        if not 0 < len(rules) <= len(inputs):
            raise GradError(
                f"primitive: {name} takes {', '.join(inputs) or 'nothing'}, and {len(rules)} rules "
                "were given: there is one for each input, the first arguments; the rest are options"
            )
        if sheet and (not name.isidentifier() or name in TABLE or name in PUBLIC):
            raise GradError(f"primitive: sheets know {name} already, or it is no name")
        op = OwnPrimitive(forward, rules, **declared)
        if sheet:
            IN_SHEETS[name] = op
        return op

    return declare
