"""How NumPy's functions are called, by the operations that they are."""

from __future__ import annotations

from tinygrad_edu.core.ops import arithmetic as ar
from tinygrad_edu.core.ops import elementwise as el
from tinygrad_edu.core.ops import reductions
from tinygrad_edu.core.primitive import Primitive
from tinygrad_edu.program.lowering import copysign, top

#: NumPy's element-wise functions: they can write a result over an input.
UFUNCS: dict[Primitive, str] = {
    ar.add: "np.add", ar.subtract: "np.subtract", ar.multiply: "np.multiply",
    ar.divide: "np.divide", ar.negative: "np.negative",
    ar.maximum: "np.maximum", ar.minimum: "np.minimum",
    ar.greater: "np.greater", ar.greater_equal: "np.greater_equal", ar.less: "np.less",
    ar.less_equal: "np.less_equal", ar.equal: "np.equal", ar.not_equal: "np.not_equal",
    el.exp: "np.exp", el.expm1: "np.expm1", el.log: "np.log", el.log1p: "np.log1p",
    el.log2: "np.log2", el.log10: "np.log10", el.power: "np.power", el.sqrt: "np.sqrt",
    el.sign: "np.sign", el.absolute: "np.abs", el.sin: "np.sin", el.cos: "np.cos", el.tan: "np.tan",
    el.arctan: "np.arctan", el.sinh: "np.sinh", el.cosh: "np.cosh", el.tanh: "np.tanh",
    copysign: "np.copysign", ar.power_constant: "np.power",
}  # fmt: skip

#: How operations on single numbers are written.
INFIX: dict[Primitive | None, str] = {
    ar.add: "{} + {}", ar.subtract: "{} - {}", ar.multiply: "{} * {}", ar.divide: "{} / {}",
    ar.negative: "-{}", el.power: "{} ** {}", ar.power_constant: "{} ** {}",
}  # fmt: skip

COMPARISONS = {ar.greater, ar.greater_equal, ar.less, ar.less_equal, ar.equal, ar.not_equal}

#: Functions that take axis= and keepdims=.
REDUCTIONS: dict[Primitive, str] = {
    reductions.sum: "np.add.reduce", reductions.prod: "np.multiply.reduce",
    reductions.max: "np.maximum.reduce", reductions.min: "np.minimum.reduce",
    top: "np.maximum.reduce",
}  # fmt: skip

#: What the largest and the smallest of numbers are sought from.
EXTREME: dict[Primitive | None, str] = {
    reductions.max: "-np.inf", top: "-np.inf", reductions.min: "np.inf",
}  # fmt: skip
