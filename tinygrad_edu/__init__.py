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

from tinygrad_edu.core import ops as _ops
from tinygrad_edu.core.habits import OF_THE_PACKAGE, hint
from tinygrad_edu.core.operators import maximum, power
from tinygrad_edu.core.ops.arranging import *  # noqa: F403
from tinygrad_edu.core.ops.elementary import *  # noqa: F403
from tinygrad_edu.core.ops.losses import *  # noqa: F403
from tinygrad_edu.core.ops.orderings import *  # noqa: F403
from tinygrad_edu.core.ops.arithmetic import (
    add, divide, equal, greater, greater_equal, less, less_equal, minimum, multiply, negative,
    not_equal, subtract, where,
)  # fmt: skip
from tinygrad_edu.core.ops.elementwise import (
    absolute, arctan, clip, cos, cosh, exp, expm1, leaky_relu, log, log1p, log2, log10, relu,
    sigmoid, sign, sin, sinh, softplus, sqrt, tan, tanh, xlogy,
)  # fmt: skip
from tinygrad_edu.core.ops.elementwise import absolute as abs
from tinygrad_edu.core.ops.linalg import dot, matmul, outer
from tinygrad_edu.core.ops.reductions import (
    cumsum, log_softmax, logsumexp, max, mean, min, norm, prod, softmax, std, sum, var,
)  # fmt: skip
from tinygrad_edu.core.ops.shaping import (
    broadcast_to, concatenate, expand_dims, hstack, moveaxis, ravel, reshape, squeeze, stack,
    swapaxes, transpose, vstack,
)  # fmt: skip
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.value import Value, name_values, no_grad

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

# Operations that not every graph has, and the rooms that build on the graph, are imported when
# first used: `import tinygrad_edu` costs little more than NumPy.
_ROOMS = {
    "tinygrad_edu.core.ops.activations": (
        "elu", "gelu", "selu", "silu",
    ),
    "tinygrad_edu.core.ops.contractions": (
        "convolve", "correlate", "einsum", "inner", "kron", "tensordot", "vdot",
    ),
    "tinygrad_edu.core.ops.matrices": (
        "det", "inv", "matrix_power", "multi_dot", "slogdet", "solve",
    ),
    "tinygrad_edu.core.ops.factors": (
        "cholesky", "eigh", "eigvalsh", "pinv", "qr", "svd", "svdvals",
    ),
    "tinygrad_edu.core.ops.networks": (
        "attention", "avg_pool2d", "batch_norm", "conv1d", "conv2d", "dropout", "embedding",
        "layer_norm", "max_pool2d", "rms_norm",
    ),
    "tinygrad_edu.core.ops.windows": (
        "sliding_window_view",
    ),
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
    "Program", "Rule", "SheetError", "SheetReport", "Value", "__version__", "abs", "absolute",
    "add", "arctan",
    "assert_derivation", "backward", "broadcast_to", "check_code", "check_function",
    "check_gradients", "check_sheet", "check_sheets", "check_text", "checkpoint", "clip",
    "collapse", "compare", "compile", "hvp", "jvp",
    "concatenate", "cos", "cosh", "cumsum", "debug_nans", "derive", "divide",
    "dot", "draw", "equal", "exp", "expand_dims", "expm1", "export", "grad", "grade", "greater",
    "greater_equal", "hessian", "hstack", "jacobian", "leaky_relu", "less", "less_equal",
    "load_sheet", "log", "log10", "log1p", "log2", "log_softmax", "logsumexp", "matmul", "max",
    "maximum", "mean", "min", "minimum", "moveaxis", "multiply",
    "name_values", "negative", "no_grad", "norm", "not_equal", "numerical_gradient",
    "outer", "power", "primitive", "prod", "ravel", "relu", "render", "reshape", "sigmoid", "sign",
    "sin", "sinh", "softmax", "softplus", "sqrt", "squeeze", "stack", "std", "subtract", "sum",
    "swapaxes", "tan", "tanh", "transpose", "value_and_grad", "var", "vjp", "vstack", "where",
    "xlogy",
]  # fmt: skip
for _family in (_ops.arranging, _ops.elementary, _ops.losses, _ops.orderings):
    __all__ += _family.__all__
for _file in _ROOMS:
    if _file.startswith("tinygrad_edu.core.ops."):
        __all__ += _ROOMS[_file]
__all__ = sorted(__all__)


def __getattr__(name: str) -> Any:
    if name == "nn":  # the one room whose names stay in it: tg.nn.Dense
        return importlib.import_module("tinygrad_edu.nn")
    if name not in _ROOM_OF:
        raise AttributeError(
            f"module 'tinygrad_edu' has no attribute {name!r}{hint(name, __all__, OF_THE_PACKAGE)}"
        )
    value = getattr(importlib.import_module(_ROOM_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
