"""What one does with derivatives: functions of functions, and the central difference as referee."""

from tinygrad_edu.calculus.checkpoints import checkpoint
from tinygrad_edu.calculus.checks import check_gradients, numerical_gradient
from tinygrad_edu.calculus.functions import (
    as_values,
    backward,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)

__all__ = [
    "as_values", "backward", "check_gradients", "checkpoint", "grad", "hessian", "hvp", "jacobian",
    "jvp", "numerical_gradient", "value_and_grad", "vjp",
]  # fmt: skip
