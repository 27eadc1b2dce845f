"""Right derivations of random nets, and the mistakes of learners made in them on purpose.

`nets(seed)` writes a sheet whose every line is right; `mutants(net)` gives, for each kind of
mistake that applies to it, the sheet with one line made wrong, the line's name, the right line and
the names by which the mistake may go.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Net:
    header: list[str]
    forward: list[str]
    claims: dict[str, str]  # name -> right-hand side
    facts: dict[str, object]

    def text(self, claims: dict[str, str] | None = None) -> str:
        lines = [f"{name} = {rhs}" for name, rhs in (claims or self.claims).items()]
        return "\n".join([*self.header, "", *self.forward, "", *lines]) + "\n"


@dataclass
class Mutant:
    text: str
    name: str
    right: str
    wrong: str
    classes: tuple[str, ...]
    kind: str


ACTIVATIONS = {
    "tanh": ("np.tanh({z})", ["(1 - {a}**2)", "(1 - np.tanh({z})**2)", "(1 - np.power({a}, 2))"]),
    "sigmoid": ("1 / (1 + np.exp(-{z}))", ["({a} * (1 - {a}))"]),
    "relu": ("np.maximum(0, {z})", ["({z} > 0)", "np.int64({z} > 0)"]),
    "leaky": ("np.where({z} > 0, {z}, 0.01 * {z})", ["np.where({z} > 0, 1.0, 0.01)"]),
}


def nets(seed: int) -> Net:
    """A random net with a right derivation of it."""
    rng = random.Random(seed)
    columns = rng.random() < 0.6
    lecture = columns and rng.random() < 0.6
    depth = rng.choice([2, 2, 3])
    loss = rng.choice(["bce", "softmax", "mse"])
    m = rng.choice([5, 6, 7])
    sizes = rng.sample([2, 3, 4, 8], k=min(depth + 1, 4))
    sizes = [*sizes, 9][: depth + 1]
    hidden = [rng.choice(list(ACTIVATIONS)) for _ in range(depth - 1)]
    reg = rng.random() < 0.3
    dropout = rng.random() < 0.25 and not reg
    dot = rng.random() < 0.4

    def mm(a: str, b: str) -> str:
        return f"np.dot({a}, {b})" if dot else f"{a} @ {b}"

    def shape(n: int) -> str:
        return f"({n}, {m})" if columns else f"({m}, {n})"

    kind = {"bce": "binary", "softmax": f"onehot(axis={0 if columns else 1})", "mse": "normal"}[
        loss
    ]
    header = [f"m = {m}"] + (["lam = 0.7"] if reg else []) + (["keep = 0.8"] if dropout else [])
    header += [f"X: {shape(sizes[0])}", f"Y: {shape(sizes[-1])} = {kind}"]
    for i in range(1, depth + 1):
        a, b = sizes[i], sizes[i - 1]
        header += [f"W{i}: ({a}, {b})" if columns else f"W{i}: ({b}, {a})"]
        header += [f"b{i}: ({a}, 1)" if columns else f"b{i}: (1, {a})"]
        if dropout and i < depth:
            header.append(f"D{i}: {shape(a)} = binary")
    forward = []
    for i in range(1, depth + 1):
        x = "X" if i == 1 else f"A{i - 1}"
        forward.append(f"Z{i} = {mm(f'W{i}', x) if columns else mm(x, f'W{i}')} + b{i}")
        if i < depth:
            g = ACTIVATIONS[hidden[i - 1]][0].format(z=f"Z{i}")
            forward.append(f"A{i} = {g}" + (f" * D{i} / keep" if dropout else ""))
    z, axis = f"Z{depth}", 0 if columns else 1
    out = f"A{depth}"
    if loss == "softmax":
        forward += [f"E = np.exp({z})", f"{out} = E / np.sum(E, axis={axis}, keepdims=True)"]
        cost = f"-np.sum(Y * np.log({out})) / m"
    elif loss == "bce":
        forward.append(f"{out} = 1 / (1 + np.exp(-{z}))")
        cost = f"-np.sum(Y * np.log({out}) + (1 - Y) * np.log(1 - {out})) / m"
    else:
        forward.append(f"{out} = {ACTIVATIONS['sigmoid'][0].format(z=z)}")
        cost = f"np.sum(({out} - Y)**2) / (2 * m)"
    if reg:
        cost += (
            " + lam / (2 * m) * ("
            + " + ".join(f"np.sum(W{i}**2)" for i in range(1, depth + 1))
            + ")"
        )
    forward.append(f"J = {cost}")
    claims: dict[str, str] = {}
    over = rng.choice(["1/m * {}", "(1/m) * {}", "{} / m"])
    delta = "({a} - Y)" if not lecture else "{a} - Y"
    delta = delta.format(a=out)
    if loss == "mse":
        delta = f"({out} - Y) * {out} * (1 - {out})"
    claims[f"d{z}"] = delta if lecture else f"{delta} / m"
    stepwise = rng.random() < 0.6
    for i in range(depth, 0, -1):
        dz, x = f"dZ{i}", "X" if i == 1 else f"A{i - 1}"
        w = mm(dz, f"{x}.T") if columns else mm(f"{x}.T", dz)
        share = over.format(w) if lecture else w
        if reg:
            share += f" + lam / m * W{i}"
        claims[f"dW{i}"] = share
        b = f"np.sum({dz}, axis={1 if columns else 0}, keepdims=True)"
        claims[f"db{i}"] = over.format(b) if lecture else b
        if i > 1:
            back = mm(f"W{i}.T", dz) if columns else mm(dz, f"W{i}.T")
            form = rng.choice(ACTIVATIONS[hidden[i - 2]][1]).format(z=f"Z{i - 1}", a=f"A{i - 1}")
            if dropout and hidden[i - 2] in ("tanh", "sigmoid"):
                g = ACTIVATIONS[hidden[i - 2]][0].format(z=f"Z{i - 1}")
                form = f"(1 - np.tanh(Z{i - 1})**2)" if hidden[i - 2] == "tanh" else (
                    f"(({g}) * (1 - {g}))"
                )  # fmt: skip
            mask = f" * D{i - 1} / keep" if dropout else ""
            if stepwise:
                claims[f"dA{i - 1}"] = back
                back = f"dA{i - 1}"
            claims[f"dZ{i - 1}"] = f"{back}{mask} * {form}"
    facts = {
        "columns": columns, "lecture": lecture, "depth": depth, "loss": loss, "m": m,
        "hidden": hidden, "reg": reg, "dropout": dropout, "out": out,
    }  # fmt: skip
    return Net(header, forward, claims, facts)


def mutants(net: Net, seed: int = 0) -> Iterator[Mutant]:
    """Every mistake that can be made in a net, one at a time."""
    rng = random.Random(seed)
    f, c = net.facts, net.claims
    depth = int(f["depth"])  # type: ignore[call-overload]
    last = f"dZ{depth}"
    out = str(f["out"])
    hidden: list[str] = f["hidden"]  # type: ignore[assignment]

    def make(name: str, wrong: str, kind: str, *classes: str) -> Iterator[Mutant]:
        if wrong != c[name] and name in c:
            yield Mutant(
                net.text({**c, name: wrong}), name, c[name], wrong, classes or (kind,), kind
            )

    weight, bias = rng.choice([f"dW{i}" for i in range(1, depth + 1)]), f"db{rng.randint(1, depth)}"
    i = int(weight[2:])
    w, b = c[weight], c[bias]
    # scale
    if f["lecture"]:
        bare = re.sub(r"1/m \* |\(1/m\) \* | / m(?! \*)", "", w, count=1)
        yield from make(weight, bare, "one_over_m_missing")
        bare = re.sub(r"1/m \* |\(1/m\) \* | / m$", "", b, count=1)
        yield from make(bias, bare, "one_over_m_missing")
        yield from make(bias, b.replace("np.sum", "np.mean"), "mean_instead_of_sum",
                        "mean_instead_of_sum", "one_over_m_twice")  # fmt: skip
        if depth > 1 and "dZ1" in c:
            yield from make("dZ1", "1/m * " + c["dZ1"], "one_over_m_twice")
    else:
        yield from make(last, c[last][: -len(" / m")], "one_over_m_missing")
        yield from make(bias, b.replace("np.sum", "np.mean"), "mean_instead_of_sum",
                        "mean_instead_of_sum", "one_over_m_twice")  # fmt: skip
        if not f["reg"]:
            yield from make(weight, w + " / m", "one_over_m_twice")
    yield from make(bias, "2 * " + b, "constant_factor")
    if not f["reg"]:
        yield from make(weight, w + " * 2", "constant_factor")
    # sign
    yield from make(last, c[last].replace(f"{out} - Y", f"Y - {out}"), "sign")
    yield from make(bias, "-" + b, "sign")
    # chain factors
    for k in range(1, depth):
        dz, g = f"dZ{k}", hidden[k - 1]
        rhs = c[dz]
        head, form = _split(rhs)
        a, z = f"A{k}", f"Z{k}"
        yield from make(dz, head, "missing_activation_derivative")
        yield from make(dz, f"{rhs} * {form}" if g in ("tanh", "sigmoid") else rhs,
                        "extra_activation_derivative")  # fmt: skip
        yield from make(dz, f"{head} * {z} * {form}", "multiplied_by_Z")
        if g in ("tanh", "sigmoid", "relu"):
            yield from make(dz, f"{head} * {a}", "g_instead_of_gprime")
        yield from make(dz, form, "missing_upstream_factor",
                        "missing_upstream_factor", "missing_weight_factor")  # fmt: skip
        if g == "tanh":
            yield from make(dz, f"{head} * (1 - {z}**2)", "derivative_at_wrong_point")
            yield from make(dz, f"{head} * (1 - np.tanh({a})**2)", "derivative_at_wrong_point")
            yield from make(dz, f"{head} * (1 + {a}**2)", "wrong_derivative_formula")
            yield from make(dz, f"{head} * (1 - {a})", "wrong_derivative_formula")
            yield from make(dz, f"{head} * {a} * (1 - {a})", "derivative_of_other_activation")
            yield from make(dz, f"{head} * ({z} > 0)", "derivative_of_other_activation")
        if g == "sigmoid":
            yield from make(dz, f"{head} * {z} * (1 - {z})", "derivative_at_wrong_point")
            either = ("wrong_derivative_formula", "missing_activation_derivative")
            yield from make(dz, f"{head} * (1 - {a})", "wrong_derivative_formula", *either)
            yield from make(dz, f"{head} * (1 - {a}**2)", "derivative_of_other_activation")
        if g == "relu":
            yield from make(dz, f"{head} * ({a} >= 0)", "relu_mask_boundary")
            yield from make(dz, f"{head} * ({z} < 0)", "relu_mask_boundary",
                            "relu_mask_boundary", "wrong_derivative_formula")  # fmt: skip
            yield from make(dz, f"{head} * (1 - {a}**2)", "derivative_of_other_activation")
            x = "X" if k == 1 else f"A{k - 1}"
            del x
        if depth > 2 and g in ("tanh", "sigmoid"):
            other = f"A{3 - k}"
            if hidden[2 - k] == g and f["dropout"] is False:
                swapped = form.replace(a, other).replace(z, f"Z{3 - k}")
                # only sizes that agree run; the rest is a shape error, found all the same
                yield from make(dz, f"{head} * {swapped}", "derivative_at_wrong_layer")
        # weights and upstream
        up = f"W{k + 1}"
        source = f"dA{k}" if f"dA{k}" in c else dz
        line = c[source]
        yield from make(source, line.replace(f"{up}.T", up), "missing_transpose")
        yield from make(
            source, line.replace(f"{up}.T", f"d{up}.T"), "gradient_instead_of_parameter"
        )
        if "@" in line:
            yield from make(source, line.replace("@", "*", 1), "elementwise_instead_of_matmul")
        elif "np.dot" in line:
            yield from make(source, line.replace("np.dot", "np.multiply", 1),
                            "elementwise_instead_of_matmul")  # fmt: skip
        if not f["dropout"]:
            yield from make(dz, rhs.replace(" * (", " @ (", 1) if " * (" in rhs else rhs,
                            "matmul_instead_of_elementwise")  # fmt: skip
        if f["dropout"]:
            yield from make(dz, rhs.replace(f" * D{k} / keep", ""), "dropout_mask_missing")
            yield from make(dz, rhs.replace(" / keep", ""), "dropout_scale")
            yield from make(dz, rhs.replace(" / keep", " * keep"), "dropout_scale")
    if f["loss"] == "mse":
        tail = f" * {out} * (1 - {out})"
        yield from make(last, c[last].replace(tail, ""), "missing_activation_derivative")
        yield from make(last, c[last].replace(f"({out} - Y) * ", ""), "missing_upstream_factor")
    else:
        yield from make(last, c[last].replace(f"{out} - Y", f"({out} - Y) * {out} * (1 - {out})"),
                        "extra_activation_derivative")  # fmt: skip
    # products
    x = "X" if i == 1 else f"A{i - 1}"
    yield from make(weight, w.replace(f"{x}.T", x), "missing_transpose")
    yield from make(weight, w.replace(f"{x}.T", f"A{i}.T"), "wrong_layer_variable")
    if "@" in w:
        yield from make(weight, w.replace("@", "*"), "elementwise_instead_of_matmul")
    dz = f"dZ{i}"
    yield from make(weight, w.replace(dz, f"dZ{i % depth + 1}"), "wrong_layer_variable")
    yield from make(weight, re.sub(r"np\.dot\([^()]*\)|\w+(\.T)? @ \w+(\.T)?", f"np.sum({dz})", w),
                    "missing_input_factor")  # fmt: skip
    # bias
    inner = re.search(r"np\.sum\((\w+), axis=(\d), keepdims=True\)", b)
    assert inner is not None
    dz, axis = inner[1], inner[2]
    yield from make(bias, b.replace(inner[0], dz), "bias_not_summed")
    yield from make(bias, b.replace(f", axis={axis}, keepdims=True", ""), "sum_without_axis")
    yield from make(bias, b.replace(f"axis={axis}", f"axis={1 - int(axis)}"), "wrong_sum_axis")
    yield from make(bias, b.replace(", keepdims=True", ""), "missing_keepdims")
    yield from make(bias, b.replace(dz, f"dW{bias[2:]}"), "bias_from_weight_gradient")
    # penalty
    if f["reg"]:
        own = f" + lam / m * W{i}"
        yield from make(weight, w.replace(own, ""), "missing_reg_term")
        yield from make(weight, w.replace(own, own.replace("+", "-")), "reg_sign")
        yield from make(weight, w.replace(own, f" + lam * W{i}"), "reg_factor")
        yield from make(weight, w.replace(own, f" + lam / (2 * m) * W{i}"), "reg_factor")
        yield from make(weight, w.replace(own, f" + lam / m * W{i}**2"), "reg_term_wrong")
        yield from make(bias, b + f" + lam / m * b{bias[2:]}", "reg_on_bias")


def _split(rhs: str) -> tuple[str, str]:
    """A line ``head * form`` in its two parts: the form is the last factor."""
    depth = 0
    for at in range(len(rhs) - 1, 0, -1):
        depth += (rhs[at] in ")]") - (rhs[at] in "([")
        if depth == 0 and rhs[at - 1 : at + 2] == " * ":
            return rhs[: at - 1], rhs[at + 2 :]
    raise ValueError(rhs)
