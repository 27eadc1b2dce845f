"""tinygrad_edu: automatic differentiation that explains itself.

A tour, in the order one needs things:

- `Value` holds numbers and remembers how it was computed; ``cost.backward()`` puts the derivative
  of the cost in `.grad` of every node. Operators, NumPy's functions and this package's own make
  nodes.
- `grad`, `value_and_grad`, `vjp`, `jacobian`, `hessian`: derivatives of functions, of any order;
  `numerical_gradient` and `check_gradients`: the central difference as referee.
- `compare` puts hand-derived formulas beside the automatic gradients and says which are wrong.
- `derive` prints the rules themselves: ``dW2 = (1/m) dZ2 A1ᵀ``.
- `draw` and `render` show the graph with its values and gradients.

>>> import tinygrad_edu as tg
>>> w, x, b = tg.Value(2.0, "w"), tg.Value(-3.0, "x"), tg.Value(6.0, "b")
>>> z = tg.tanh(w * x + b)
>>> z.backward()
>>> w.grad, x.grad, b.grad
(-3.0, 2.0, 1.0)

Examples in docstrings are to be pasted after ``import numpy as np``, ``import tinygrad_edu as tg``
and ``from tinygrad_edu import nn``.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tinygrad_edu.core.habits import hint
from tinygrad_edu.core.operators import maximum, power
from tinygrad_edu.core.ops import (
    arithmetic as _arithmetic, arranging as _arranging, elementary as _elementary,
    elementwise as _elementwise, linalg as _linalg, losses as _losses, orderings as _orderings,
    reductions as _reductions, shaping as _shaping,
)  # fmt: skip
from tinygrad_edu.core.ops.arithmetic import *  # noqa: F403
from tinygrad_edu.core.ops.arranging import *  # noqa: F403
from tinygrad_edu.core.ops.elementary import *  # noqa: F403
from tinygrad_edu.core.ops.elementwise import *  # noqa: F403
from tinygrad_edu.core.ops.elementwise import absolute as abs
from tinygrad_edu.core.ops.linalg import *  # noqa: F403
from tinygrad_edu.core.ops.losses import *  # noqa: F403
from tinygrad_edu.core.ops.orderings import *  # noqa: F403
from tinygrad_edu.core.ops.reductions import *  # noqa: F403
from tinygrad_edu.core.ops.shaping import *  # noqa: F403
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.recording import no_grad
from tinygrad_edu.core.value import Value, name_values

if TYPE_CHECKING:
    from tinygrad_edu.core.ops.activations import *  # noqa: F403
    from tinygrad_edu.core.ops.contractions import *  # noqa: F403
    from tinygrad_edu.core.ops.factors import *  # noqa: F403
    from tinygrad_edu.core.ops.matrices import *  # noqa: F403
    from tinygrad_edu.core.ops.networks import *  # noqa: F403
    from tinygrad_edu.core.ops.windows import *  # noqa: F403
    from tinygrad_edu.calculus import (
        backward, check_gradients, checkpoint, grad, hessian, hvp, jacobian, jvp,
        numerical_gradient, value_and_grad, vjp,
    )  # fmt: skip
    from tinygrad_edu.rules import (
        Collapsed, Derivation, Rule, collapse, derive,
    )  # fmt: skip
    from tinygrad_edu.program import (
        Program, compile,
    )  # fmt: skip
    from tinygrad_edu.sheets import (
        SheetError, load_sheet,
    )  # fmt: skip
    from tinygrad_edu.reports import (
        Batch, Comparison, SheetReport, assert_derivation, check_function, check_sheet,
        check_sheets, check_text, compare,
    )  # fmt: skip
    from tinygrad_edu.tracing import (
        CodeReport, check_code,
    )  # fmt: skip
    from tinygrad_edu.classroom import (
        grade,
    )  # fmt: skip
    from tinygrad_edu.drawing import (
        draw, render,
    )  # fmt: skip
    from tinygrad_edu.nn.export import (
        export,
    )  # fmt: skip
    from tinygrad_edu.core.debug import (
        debug_nans,
    )  # fmt: skip
    from tinygrad_edu.core.own import (
        Primitive, primitive,
    )  # fmt: skip

__version__ = "0.1.0"

# `import tinygrad_edu` costs little more than NumPy: operations that not every graph has are looked
# for in these files when a name is asked for that is not here, and the rooms that build on the
# graph are imported when first used.
_LATER = ("activations", "contractions", "factors", "matrices", "networks", "windows")
_ROOMS = {
    "tinygrad_edu.calculus": (
        "backward", "check_gradients", "checkpoint", "grad", "hessian", "hvp", "jacobian", "jvp",
        "numerical_gradient", "value_and_grad", "vjp",
    ),
    "tinygrad_edu.rules": (
        "Collapsed", "Derivation", "Rule", "collapse", "derive",
    ),
    "tinygrad_edu.program": (
        "Program", "compile",
    ),
    "tinygrad_edu.sheets": (
        "SheetError", "load_sheet",
    ),
    "tinygrad_edu.reports": (
        "Batch", "Comparison", "SheetReport", "assert_derivation", "check_function", "check_sheet",
        "check_sheets", "check_text", "compare",
    ),
    "tinygrad_edu.tracing": (
        "CodeReport", "check_code",
    ),
    "tinygrad_edu.classroom.notebook": (
        "load_ipython_extension",  # what %load_ext tinygrad_edu asks for
    ),
    "tinygrad_edu.classroom": (
        "grade",
    ),
    "tinygrad_edu.drawing": (
        "draw", "render",
    ),
    "tinygrad_edu.nn.export": (
        "export",
    ),
    "tinygrad_edu.core.debug": (
        "debug_nans",
    ),
    "tinygrad_edu.core.own": (
        "Primitive", "primitive",
    ),
}  # fmt: skip
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "Batch", "CodeReport", "Collapsed", "Comparison", "Derivation", "GradError", "Primitive",
    "Program", "Rule", "SheetError", "SheetReport", "Value", "__version__", "abs",
    "assert_derivation", "backward", "check_code", "check_function", "check_gradients",
    "check_sheet", "check_sheets", "check_text", "checkpoint", "collapse", "compare", "compile",
    "debug_nans", "derive", "draw", "export", "grad", "grade", "hessian", "hvp", "jacobian", "jvp",
    "load_sheet", "maximum", "name_values", "no_grad", "numerical_gradient", "power", "primitive",
    "render", "value_and_grad", "vjp",
]  # fmt: skip
__all__ += _arithmetic.__all__ + _elementwise.__all__ + _elementary.__all__ + _shaping.__all__
__all__ += _reductions.__all__ + _orderings.__all__ + _arranging.__all__ + _linalg.__all__
__all__ += _losses.__all__
_HERE = __all__
if not TYPE_CHECKING:
    del __all__  # `__getattr__` answers for it, and knows the files of `_LATER` too


def _later() -> dict[str, Any]:
    """The operations in the files that are imported when one of them is first asked for."""
    files = (importlib.import_module(f"tinygrad_edu.core.ops.{name}") for name in _LATER)
    return {name: vars(file)[name] for file in files for name in file.__all__}


def _elsewhere() -> dict[str, str]:
    """Names that are not here: those of `tg.nn`, what NumPy answers itself, what is called
    otherwise."""
    from tinygrad_edu import nn
    from tinygrad_edu.core.habits import OF_NUMPY, OF_THE_PACKAGE
    from tinygrad_edu.core.protocol import QUESTIONS

    return {
        **{name: f"nn.{name}" for name in nn.__all__},
        **{f.__name__: f"np.{f.__name__}(v)" for f in QUESTIONS},
        **OF_NUMPY,
        **OF_THE_PACKAGE,
    }


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted([*_HERE, *_later()])
    if name == "nn":  # the one room whose names stay in it: tg.nn.Dense
        return importlib.import_module("tinygrad_edu.nn")
    if name in _ROOM_OF:
        value = getattr(importlib.import_module(_ROOM_OF[name]), name)
    elif not name.startswith("_") and name in (later := _later()):
        value = later[name]
    else:
        told = hint(name, __getattr__("__all__"), _elsewhere())
        raise AttributeError(f"module 'tinygrad_edu' has no attribute {name!r}{told}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__getattr__("__all__"))
