"""What one does with derivatives: functions of functions, and the central difference as referee."""

from tinygrad_edu.calculus.checks import check_gradients, numerical_gradient
from tinygrad_edu.calculus.functions import as_values, grad, hessian, jacobian, value_and_grad, vjp

__all__ = [
    "as_values", "check_gradients", "grad", "hessian", "jacobian", "numerical_gradient",
    "value_and_grad", "vjp",
]  # fmt: skip
