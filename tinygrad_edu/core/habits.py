"""What is called otherwise elsewhere: an error that meets such a name says what it is called here.

Python's own "did you mean" is not shown by every shell, and knows no other library's words.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import NoReturn, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

#: Attributes that PyTorch, JAX, Keras or NumPy would have where a Value stands, and what to write.
OF_A_VALUE = {
    "numpy": "v.data", "values": "v.data", "value": "v.data", "tolist": "v.data.tolist()",
    "to_numpy": "v.data", "astype": "tg.Value(v.data.astype(…))", "copy": "v.detach(), or +v",
    "clone": "+v", "view": "v.reshape(…)", "permute": "v.transpose(…)", "t": "v.T",
    "unsqueeze": "tg.expand_dims(v, axis)", "argmax": "np.argmax(v)", "any": "(v > 0).any()",
    "grad_fn": "v.op", "is_leaf": "v.op is None", "requires_grad_": "v.requires_grad = True",
    "zero_": "v.data = np.zeros(v.shape)", "gradient": "v.grad", "mm": "v @ w",
    "matmul": "v @ w", "pow": "v ** n", "add_": "v.data += …", "sub_": "v.data -= …",
    "mul_": "v.data *= …", "fill_": "v.data = …", "copy_": "v.data = …",
}  # fmt: skip

#: The same in any place.
HABITS = {
    # arguments
    "dim": "axis=", "dims": "axes=", "keepdim": "keepdims=", "correction": "ddof=",
    "unbiased": "ddof=1, or ddof=0", "a_min": "min=", "a_max": "max=", "argnum": "argnums=",
    "inplace": "nothing: operations make new Values, p.data = … gives a leaf new numbers",
    "reduction": "tg.mean(…) of the loss, which is one per example",
    "learning_rate": "lr=", "betas": "beta1= and beta2=", "momentum": "nn.Momentum(lr, beta)",
    "weight_decay": "l2= of nn.Network", "lr": "optimiser=nn.Adam(0.001)",
    "optimizer": "optimiser=", "num_epochs": "epochs=", "n_epochs": "epochs=",
    "validation_data": "validation=(X, Y)",
    **OF_A_VALUE,
    # of the package
    "tensor": "tg.Value", "Tensor": "tg.Value", "Variable": "tg.Value", "array": "tg.Value",
    "Parameter": "tg.Value", "cat": "tg.concatenate", "jit": "tg.compile", "jacrev": "tg.jacobian",
    "jacfwd": "tg.jacobian", "GradientTape": "tg.grad, or cost.backward()",
    "backward": "cost.backward()", "autograd": "tg.grad", "gradients": "v.grad",
    "optim": "tg.nn, with nn.GradientDescent(lr), nn.Momentum, nn.RMSProp and nn.Adam",
    "linalg": "np.linalg on Values, or tg.inv, tg.det, tg.solve",
    "set_grad_enabled": "tg.no_grad()", "gradcheck": "tg.check_gradients",
    # of networks
    "Linear": "nn.Dense(units)", "Sequential": "nn.Network(n0, layer, layer, …)",
    "Module": "nn.Network, or nn.Layer", "Model": "nn.Network", "SGD": "nn.GradientDescent(lr)",
    "RMSprop": "nn.RMSProp", "BCELoss": "tg.binary_cross_entropy",
    "BCEWithLogitsLoss": "tg.binary_cross_entropy(z, y, from_logits=True)",
    "CrossEntropyLoss": "tg.cross_entropy", "MSELoss": "tg.mean_squared_error",
    "ReLU": "nn.Dense(units, 'relu')", "BatchNorm1d": "nn.BatchNorm", "RNN": "nn.Recurrent",
    "zero_grad": "for p in net.parameters.values(): p.zero_grad()", "weights": "net.parameters",
    "state_dict": "net.state()", "load_state_dict": "net.restore(state)", "forward": "net(X)",
    "train": "net.fit(X, Y)", "eval": "net.predict(X)", "evaluate": "net.accuracy(X, Y)",
    "summary": "print(net), or net.draw()", "named_parameters": "net.parameters.items()",
    "param_groups": "step(net.parameters)", "units": "the first argument of nn.Dense",
}  # fmt: skip


def hint(name: str, known: Iterable[str]) -> str:
    """The end of an error about a name: what it is called here, or which name is near; or nothing.

    >>> hint("keepdim", ["axis", "keepdims"]), hint("axes", ["axis", "keepdims"]), hint("q", [])
    ('; here it is keepdims=', "; did you mean 'axis'?", '')
    """
    if name in HABITS:
        return f"; here it is {HABITS[name]}"
    if name.startswith("_"):
        return ""
    import difflib  # where it is needed: it costs a millisecond

    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


class Elsewhere:
    """An attribute that is none: asking for it is the usual AttributeError, with an answer.

    (A class with a ``__getattr__`` would answer every name, and all its attributes be slow.)
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, x: object, cls: type) -> NoReturn:
        raise AttributeError(f"{cls.__name__} has no attribute {self.name!r}{hint(self.name, ())}")


def no_attribute(x: object, name: str) -> AttributeError:
    """The error for what an object has not."""
    kind, known = type(x).__name__, [key for key in dir(type(x)) if not key.startswith("_")]
    return AttributeError(f"{kind} has no attribute {name!r}{hint(name, known)}")


def no_argument(function: str, name: str, known: Iterable[str]) -> TypeError:
    """The error for a keyword that a function does not take."""
    return TypeError(f"{function}() does not take {name}={hint(name, known)}")


def own_keywords(f: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function to answer a keyword that it does not take."""
    code = f.__code__
    known = frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])

    @functools.wraps(f)
    def call(*args: P.args, **options: P.kwargs) -> R:
        if options and not known.issuperset(options):
            raise no_argument(f.__name__, min(options.keys() - known), known)
        return f(*args, **options)

    return call
