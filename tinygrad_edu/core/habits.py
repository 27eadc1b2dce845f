"""What is called otherwise elsewhere: an error that meets such a name says what it is called here.

Python's own "did you mean" is not shown by every shell, and knows no other library's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

#: What PyTorch, JAX, Keras, micrograd or NumPy have where a Value stands, and what to write here.
OF_A_VALUE = {
    "numpy": "v.data", "values": "v.data", "value": "v.data", "tolist": "v.data.tolist()",
    "to_numpy": "v.data", "astype": "tg.Value(v.data.astype(…)), a leaf: no gradient flows back",
    "float": "tg.Value(v.data.astype(np.float32)), a leaf: no gradient flows back",
    "double": "tg.Value(v.data.astype(float)), a leaf: no gradient flows back",
    "half": "v, or float32: half precision is held as that",
    "conj": "v: numbers are real", "conjugate": "v: numbers are real",
    "real": "v: numbers are real", "imag": "0: numbers are real", "H": "v.T: numbers are real",
    "clone": "+v", "view": "v.reshape(…)", "permute": "v.transpose(…)", "t": "v.T",
    "mT": "v.swapaxes(-1, -2)", "unsqueeze": "tg.expand_dims(v, axis)",
    "expand": "tg.broadcast_to(v, shape)",
    "contiguous": "v", "to": "not needed: numbers are NumPy's",
    "cpu": "not needed: numbers are NumPy's",
    "cuda": "tg.export, which takes a graph to other devices",
    "device": "not needed: numbers are NumPy's",
    "numel": "v.size", "nelement": "v.size", "dim": "v.ndim", "clamp": "v.clip(min, max)",
    "gather": "tg.take_along_axis(v, indices, axis)", "masked_fill": "tg.where(mask, x, v)",
    "at": "tg.where(mask, new, v)", "topk": "tg.sort(v)[-k:]", "chunk": "tg.split(v, n)",
    "grad_fn": "v.op", "_op": "v.op", "_prev": "v.parents", "label": "v.name",
    "is_leaf": "v.op is None", "requires_grad_": "v.requires_grad = True",
    "register_hook": "v.register(f)", "retain_grad": "v.grad, which every node keeps",
    "zero_": "v.data = np.zeros(v.shape)",
    "gradient": "v.grad", "mm": "v @ w", "bmm": "v @ w", "matmul": "v @ w", "pow": "v ** n",
    "add": "v + w", "sub": "v - w", "mul": "v * w", "div": "v / w",
    "add_": "v.data += …", "sub_": "v.data -= …", "mul_": "v.data *= …", "fill_": "v.data = …",
    "copy_": "v.data = …", "fill": "v.data = np.full(v.shape, x)", "flat": "v.ravel()",
    "neg": "-v", "square": "v ** 2", "norm": "tg.norm(v)", "ptp": "tg.ptp(v)",
    "erf": "tg.erf(v)", "inverse": "tg.inv(v)", "det": "tg.det(v)", "flip": "tg.flip(v, axis)",
    "roll": "tg.roll(v, n, axis)", "split": "tg.split(v, n)",
    "maximum": "tg.maximum(v, w)", "gelu": "tg.gelu(v)", "silu": "tg.silu(v)",
    "elu": "tg.elu(v)", "selu": "tg.selu(v)",
    "index_select": "tg.take(v, indices, axis)", "compress": "v[mask]",
}  # fmt: skip

#: Of NumPy's functions that have no rule on a Value.
OF_NUMPY = {
    **{name: OF_A_VALUE[name] for name in ("conjugate", "real", "imag", "astype")}, "copy": "+v",
    "cbrt": "np.sign(v) * np.abs(v)**(1/3)", "nan_to_num": "np.where(np.isnan(v), 0, v)",
    "select": "np.where(mask, v, w)", "piecewise": "np.where(mask, v, w)",
    "copyto": "np.where(mask, new, v)", "fill_diagonal": "np.where(np.eye(n), new, v)",
    "put_along_axis": "np.where(mask, new, v)",
    "percentile": "np.median(v), or np.sort(v)[k]", "quantile": "np.median(v), or np.sort(v)[k]",
    "trapezoid": "np.sum((v[1:] + v[:-1]) / 2 * np.diff(x))",
    "gradient": "(v[2:] - v[:-2]) / (2 * h), or np.diff(v) / h",
    "polyval": "a sum of powers: c[0] * v**2 + c[1] * v + c[2]",
    "vecdot": "np.sum(v * w, axis=-1)", "matvec": "v @ w", "unstack": "list(v)",
    "meshgrid": "np.broadcast_arrays(v[None, :], w[:, None])",
    "lstsq": "np.linalg.pinv(A) @ v", "apply_along_axis": "axis= of the function itself",
}  # fmt: skip

#: The same of the package and of `tg.nn`.
OF_THE_PACKAGE = {
    **OF_A_VALUE,
    "tensor": "tg.Value", "Tensor": "tg.Value", "Variable": "tg.Value", "array": "tg.Value",
    "Parameter": "tg.Value", "constant": "tg.Value(x, requires_grad=False)",
    "from_numpy": "tg.Value", "as_tensor": "tg.Value", "zeros": "tg.Value(np.zeros(shape))",
    "ones": "tg.Value(np.ones(shape))", "eye": "tg.Value(np.eye(n))", "arange": "np.arange",
    "randn": "tg.Value(rng.normal(size=shape)), rng being np.random.default_rng(seed)",
    "rand": "tg.Value(rng.uniform(size=shape)), rng being np.random.default_rng(seed)",
    "random": "rng = np.random.default_rng(seed)",
    "manual_seed": "rng = np.random.default_rng(seed)",
    "cat": "tg.concatenate", "concat": "tg.concatenate", "jit": "tg.compile",
    "jacrev": "tg.jacobian", "jacfwd": "tg.jacobian", "GradientTape": "tg.grad, or cost.backward()",
    "elementwise_grad": "tg.grad(lambda x: tg.sum(f(x)))", "make_vjp": "tg.vjp",
    "make_jvp": "tg.jvp",
    "vmap": "not needed: operations work on whole arrays", "grad_and_value": "tg.value_and_grad",
    "backward": "cost.backward()", "autograd": "tg.grad", "gradients": "v.grad",
    "linspace": "np.linspace", "zeros_like": "np.zeros_like(v)", "ones_like": "np.ones_like(v)",
    "full": "np.full(shape, x)", "device_put": "not needed: numbers are NumPy's",
    "mse_loss": "tg.mean_squared_error",
    "binary_cross_entropy_with_logits": "tg.binary_cross_entropy(z, y, from_logits=True)",
    "nll_loss": "tg.cross_entropy, of logits", "logsigmoid": "-tg.softplus(-z)",
    "custom_vjp": "tg.primitive", "custom_jvp": "tg.primitive", "custom_gradient": "tg.primitive",
    "Function": "tg.primitive", "make_dot": "tg.draw(cost)",
    "tree_map": "not needed: tg.grad takes lists and dictionaries of arrays as they are",
    "detach": "v.detach()", "stop_gradient": "v.detach()", "inference_mode": "tg.no_grad()",
    "optim": "tg.nn, with nn.GradientDescent(lr), nn.Momentum, nn.RMSProp and nn.Adam",
    "linalg": "np.linalg on Values, or tg.inv, tg.det, tg.solve",
    "functional": "tg: tg.relu, tg.softmax, tg.cross_entropy, …",
    "set_grad_enabled": "tg.no_grad()", "gradcheck": "tg.check_gradients", "flatten": "tg.ravel",
    "save": "net.save(path)", "load": "net.load(path)",
    "Linear": "nn.Dense(units)", "Sequential": "nn.Network(n0, layer, layer, …)",
    "MLP": "nn.Network(n0, layer, layer, …)", "Neuron": "nn.Dense(1, 'tanh')",
    "Module": "nn.Network, or nn.Layer", "Model": "nn.Network", "SGD": "nn.GradientDescent(lr)",
    "RMSprop": "nn.RMSProp", "AdamW": "nn.Adam, with l2= of nn.Network",
    "BCELoss": "tg.binary_cross_entropy",
    "BCEWithLogitsLoss": "tg.binary_cross_entropy(z, y, from_logits=True)",
    "CrossEntropyLoss": "tg.cross_entropy", "NLLLoss": "tg.cross_entropy, of logits",
    "MSELoss": "tg.mean_squared_error", "ReLU": "nn.Dense(units, 'relu')",
    "Sigmoid": "nn.Dense(units, 'sigmoid')", "Tanh": "nn.Dense(units, 'tanh')",
    "Softmax": "nn.Dense(units, 'softmax')", "Embedding": "tg.embedding",
    "Conv2d": "tg.conv2d", "MaxPool2d": "tg.max_pool2d", "MultiheadAttention": "tg.attention",
    "BatchNorm1d": "nn.BatchNorm", "RNN": "nn.Recurrent",
    "LSTM": "nn.Recurrent, a cell without gates", "GRU": "nn.Recurrent, a cell without gates",
    "Flatten": "X.reshape(m, -1).T before the network", "utils": "nn.clip_norm(gradients, limit)",
    "init": "init= of nn.Dense: 'xavier', 'he', 'small', 'zeros'",
}  # fmt: skip

#: The same of a network.
OF_NETWORKS = {
    "zero_grad": "for p in net.parameters.values(): p.zero_grad()", "weights": "net.parameters",
    "trainable_variables": "net.parameters", "get_weights": "net.state()",
    "set_weights": "net.restore(state)", "state_dict": "net.state()",
    "load_state_dict": "net.restore(state)", "save_weights": "net.save(path)",
    "forward": "net(X)", "train": "net.fit(X, Y)", "eval": "net.predict(X)",
    "evaluate": "net.accuracy(X, Y)", "summary": "print(net), or net.draw()",
    "compile": "loss= of nn.Network and optimiser= of net.fit",
    "add": "nn.Network(n0, layer, layer, …)", "to": "not needed: numbers are NumPy's",
    "named_parameters": "net.parameters.items()", "children": "net.layers",
    "modules": "net.layers", "backward": "net.cost(X, Y).backward()",
}  # fmt: skip

#: Of an optimiser.
OF_OPTIMISERS = {
    "zero_grad": "for p in parameters.values(): p.zero_grad()",
    "state_dict": "the memory that step returns, a dictionary",
    "load_state_dict": "the memory that step is given", "param_groups": "step(net.parameters)",
    "minimize": "optimiser.step(net.parameters, memory)",
    "apply_gradients": "optimiser.step(net.parameters, memory, gradients)",
    "apply": "optimiser.step(net.parameters, memory, gradients)",
    "learning_rate": "optimiser.lr", "defaults": "print(optimiser)",
}  # fmt: skip

#: Of a history.
OF_HISTORY = {
    "history": "the dictionary itself: history['cost']", "losses": "history['cost']",
    "loss": "history['cost']", "val_loss": "history['validation_cost']",
    "acc": "history['accuracy']", "val_accuracy": "history['validation_accuracy']",
    "epoch": "range(len(history['cost']))",
}  # fmt: skip

#: The same of keywords. What names other keywords is said only of a function that has these; of
#: several answers, with "or" between, the first that fits.
ARGUMENTS = {
    "dim": "axis= or axes=", "dims": "axis= or axes=", "keepdim": "keepdims=",
    "unbiased": "ddof=1, without it ddof=0", "a_min": "min=", "a_max": "max=",
    "argnum": "argnums=", "label": "name=", "gradient": "seed= or seeds=",
    "grad_tensors": "seeds=", "diagonal": "k= or offset=", "epsilon": "eps=",
    "inplace": "not needed: operations make new Values, p.data = … gives a leaf new numbers",
    "dtype": "the data's: np.float32(…) stays so", "device": "not needed: numbers are NumPy's",
    "learning_rate": "lr= or optimiser=nn.Adam(0.001)", "lr": "optimiser=nn.Adam(0.001)",
    "betas": "beta1= and beta2=", "weight_decay": "l2=",
    "optimizer": "optimiser=", "num_epochs": "epochs=", "n_epochs": "epochs=",
    "verbose": "progress=", "validation_data": "validation=(X, Y)",
    "validation_split": "validation=(X, Y)", "p": "rate= or ord=",
    "kernel_initializer": "init=", "out_features": "units=", "hidden_size": "units=",
    "bias": "b=", "weight": "w=", "kernel_size": "size=", "pool_size": "size=",
    "negative_slope": "slope=", "is_causal": "causal=", "attn_mask": "mask=",
    "num_classes": "classes=", "depth": "classes=", "noise_shape": "mask=",
}  # fmt: skip

_COUNTED = "not needed: the network knows how many units there are"
_OF_A_NETWORK = "l2= of nn.Network"
_OF_TRAINING = "optimiser= of net.fit: net.fit(X, Y, optimiser=nn.Adam(0.001))"
_PICTURE = "the suffix in tg.render(cost, 'graph.svg')"
#: The same where an answer is true of some functions only.
ARGUMENTS_OF = {
    "Value": {"_children": "not needed: operations set it", "_op": "not needed: operations set it"},
    "backward": {
        "retain_graph": "not needed: a graph may be swept again",
        "create_graph": "tg.grad, whose results are graphs where its arguments are Values",
    },
    "grad value_and_grad jacobian hessian": {
        "create_graph": "not needed: where arguments are Values, results are graphs",
        "has_aux": "a list around the function, to which it appends what else it computes",
    },
    "mean_squared_error binary_cross_entropy cross_entropy kl_divergence huber hinge": {
        "reduction": "tg.mean(…) of the loss, which is one per example",
    },
    "Dense Recurrent": {
        "bias": "not needed: b is always there", "use_bias": "not needed: b is always there",
        "in_features": _COUNTED, "input_dim": _COUNTED, "input_shape": _COUNTED,
        "input_size": _COUNTED, "kernel_regularizer": _OF_A_NETWORK,
    },
    "BatchNorm LayerNorm": {"normalized_shape": _COUNTED, "num_features": _COUNTED},
    "Network": {
        "optimizer": _OF_TRAINING, "optimiser": _OF_TRAINING, "lr": _OF_TRAINING,
        "learning_rate": _OF_TRAINING, "epochs": "epochs= of net.fit",
        "batch_size": "batch_size= of net.fit", "metrics": "net.accuracy(X, Y)",
        "input_dim": "the first argument", "input_shape": "the first argument",
    },
    "GradientDescent": {"momentum": "nn.Momentum(lr, beta)", "weight_decay": _OF_A_NETWORK},
    "Momentum": {"momentum": "beta=", "weight_decay": _OF_A_NETWORK},
    "RMSProp": {"alpha": "rho=", "weight_decay": _OF_A_NETWORK},
    "Adam": {"weight_decay": _OF_A_NETWORK},
    "fit": {
        "loss": "loss= of nn.Network", "metrics": "history['accuracy']",
        "weight_decay": _OF_A_NETWORK, "l2": _OF_A_NETWORK,
        "shuffle": "not needed: each epoch has an order of its own, drawn from seed=",
    },
    "draw": {"format": _PICTURE, "filename": _PICTURE, "path": _PICTURE},
    "render": {"format": _PICTURE, "filename": _PICTURE},
}  # fmt: skip

#: What a network's activations and losses are called elsewhere.
ACTIVATIONS = {
    "swish": "tg.silu, in a layer of your own", "silu": "tg.silu, in a layer of your own",
    "gelu": "tg.gelu, in a layer of your own", "elu": "tg.elu, in a layer of your own",
    "selu": "tg.selu, in a layer of your own", "logistic": "'sigmoid'", "none": "'linear'",
    "identity": "'linear'", "leaky": "'leaky_relu'",
}  # fmt: skip
LOSSES = {
    "mse": "'mean_squared_error'", "l2": "'mean_squared_error'", "squared": "'mean_squared_error'",
    "bce": "'binary_cross_entropy'", "log_loss": "'binary_cross_entropy'",
    "ce": "'cross_entropy'", "nll": "'cross_entropy'",
    "categorical_crossentropy": "'cross_entropy'",
    "sparse_categorical_crossentropy": "'cross_entropy'",
}  # fmt: skip


def hint(name: str, known: Iterable[str], words: Mapping[str, str]) -> str:
    """The end of an error about a name: what it is called here, or which name is near; or nothing.

    >>> hint("clone", [], OF_A_VALUE), hint("Axes", ["axis"], {})
    ('; here it is +v', "; did you mean 'axis'?")
    """
    if name in words:
        return f"; here it is {words[name]}"
    if name.startswith("_"):
        return ""
    import difflib  # where it is needed: it costs a millisecond

    spelt = {key.lower(): key for key in known}
    near = difflib.get_close_matches(name.lower(), spelt, n=1)
    return f"; did you mean {spelt[near[0]]!r}?" if near else ""


def hint_of_argument(function: str, name: str, known: Iterable[str]) -> str:
    """The same about a keyword that a function does not take, with the keywords it has.

    >>> hint_of_argument("sum", "dim", ["x", "axis"]), hint_of_argument("Dense", "dim", ["units"])
    ('; here it is axis=', '')
    """
    known = list(known)
    for functions, words in ARGUMENTS_OF.items():
        if function in functions.split() and name in words:
            return hint(name, (), words)
    for answer in ARGUMENTS.get(name, "").split(" or "):
        if answer and set(re.findall(r"(\w+)=", answer)) <= set(known):
            return f"; here it is {answer}"
    return hint(name, known, {})


class Elsewhere:
    """An attribute that is none: asking for it is the usual AttributeError, with an answer.

    (A class with a ``__getattr__`` would answer every name, and all its attributes be slow.)
    """

    def __init__(self, name: str, here: str) -> None:
        self.name, self.here = name, here

    def __get__(self, x: object, cls: type) -> NoReturn:
        raise AttributeError(
            f"{cls.__name__} has no attribute {self.name!r}; here it is {self.here}"
        )


def no_attribute(x: object, name: str, words: Mapping[str, str]) -> AttributeError:
    """The error for what a network, an optimiser or a history has not."""
    kind, known = type(x).__name__, [key for key in dir(type(x)) if not key.startswith("_")]
    return AttributeError(f"{kind} has no attribute {name!r}{hint(name, known, words)}")


def no_argument(function: str, name: str, known: Iterable[str]) -> TypeError:
    """The error for a keyword that a function does not take."""
    told = hint_of_argument(function, name, known)
    return TypeError(f"{function}() does not take {name}={told}")


def only_named(what: str, given: object, names: Iterable[str]) -> TypeError:
    """The error for something given without its name to what takes arguments by name only."""
    called = [f"{name}=…" for name in names]
    some = ", ".join(called[:5]) + ", …" * (len(called) > 5)
    told = f"; of a dictionary write {what}(**numbers)" if isinstance(given, Mapping) else ""
    return TypeError(f"{what} takes its arguments by name: {what}({some}){told}")
