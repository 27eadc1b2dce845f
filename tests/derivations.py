"""Derivations nobody has written: nets at random, with textbook back-propagation line by line.

`right(seed)` is a derivation in which every line is right; `wrong(seed)` the same with one wrong
number in one line. The backward lines are written here from the textbook's rules, layer by layer;
nothing of the package takes part.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

SIZES = (2, 3, 4, 5, 6, 7, 8)
ACTIVATIONS = {
    "tanh": ("np.tanh({z})", "(1 - {a}**2)"),
    "sigmoid": ("1 / (1 + np.exp(-{z}))", "{a} * (1 - {a})"),
    "relu": ("np.maximum(0, {z})", "({z} > 0)"),
    "leaky": ("np.where({z} > 0, {z}, 0.1 * {z})", "np.where({z} > 0, 1, 0.1)"),
    "softplus": ("np.log(1 + np.exp({z}))", "1 / (1 + np.exp(-{z}))"),
}  # fmt: skip
LOSSES = ("cross-entropy", "softmax", "squares", "half squares")
MEANS = ("sum / m", "1/m * sum", "mean of losses", "sum")


@dataclass
class Derivation:
    """A sheet in parts: what is given and computed, and the claims by name, in order."""

    forward: list[str]
    claims: dict[str, str]
    convention: str
    sizes: list[str]
    features: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        claims = [f"{name} = {formula}" for name, formula in self.claims.items()]
        return "\n".join([*self.forward, *claims]) + "\n"


class _Writer:
    """Writes one net: `features` are chosen by the seed, the lines follow from them."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = random.Random(seed)
        self.depth = rng.choice((1, 2, 2, 3))
        self.rows = rng.random() < 0.4
        self.loss = rng.choice(LOSSES)
        self.mean = rng.choice(MEANS)
        self.convention = rng.choice(("lecture", "calculus")) if self.mean != "sum" else "calculus"
        self.bias = rng.choice(("matrix", "matrix", "none", "vector" if self.rows else "matrix"))
        self.norm = (
            rng.choice(("none", "none", "none", "batch", "layer")) if self.depth > 1 else "none"
        )
        self.penalty = rng.choice((None, None, "lam / (2 * m)", "lam / 2"))
        self.scaled = rng.random() < 0.2
        sizes = rng.sample(SIZES, self.depth + 2)
        self.m, self.widths = sizes[0], sizes[1:]
        self.activations = [rng.choice(list(ACTIVATIONS)) for _ in range(self.depth - 1)]
        self.forward: list[str] = []
        self.claims: dict[str, str] = {}

    # --- notation: examples are columns, or rows --------------------------------------------------

    @property
    def examples(self) -> int:
        """The axis of the examples."""
        return 0 if self.rows else 1

    def shape(self, n: int) -> str:
        return f"(m, {n})" if self.rows else f"({n}, m)"

    def summed(self, what: str, axis: int) -> str:
        return f"np.sum({what}, axis={axis}, keepdims=True)"

    def averaged(self, what: str, axis: int) -> str:
        return f"np.mean({what}, axis={axis}, keepdims=True)"

    # --- forward --------------------------------------------------------------------------------

    def write(self) -> Derivation:
        self.given()
        A = "X"
        for i in range(1, self.depth + 1):
            self.forward.append(f"Z{i} = {self.affine(i, A)}")
            Z = self.normalised(i) if self.norm != "none" and i < self.depth else f"Z{i}"
            if i < self.depth:
                activation, _ = ACTIVATIONS[self.activations[i - 1]]
                self.forward.append(f"A{i} = {activation.format(z=Z)}")
                A = f"A{i}"
        self.cost()
        self.backward()
        sizes = [str(n) for n in self.widths]
        features = {
            key: getattr(self, key)
            for key in ("depth", "rows", "loss", "mean", "bias", "norm", "penalty", "scaled")
        }
        return Derivation(self.forward, self.claims, self.convention, sizes, features)

    def given(self) -> None:
        n = self.widths
        kinds = {"cross-entropy": " = binary", "softmax": f" = onehot(axis={1 - self.examples})"}
        lines = [f"m = {self.m}", f"X{'0' if self.scaled else ''}: {self.shape(n[0])}"]
        lines.append(f"Y: {self.shape(n[-1])}{kinds.get(self.loss, '')}")
        if self.penalty:
            lines.append(f"lam = {self.rng.choice((0.1, 0.3, 0.01))}")
        for i in range(1, self.depth + 1):
            before, after = n[i - 1], n[i]
            lines.append(f"W{i}: {(before, after) if self.rows else (after, before)}")
            if self.bias != "none":
                one = (
                    f"({after},)"
                    if self.bias == "vector"
                    else (f"(1, {after})" if self.rows else f"({after}, 1)")
                )
                lines.append(f"b{i}: {one}")
            if self.norm != "none" and i < self.depth:
                one = f"(1, {after})" if self.rows else f"({after}, 1)"
                lines += [f"g{i}: {one} = positive", f"c{i}: {one}"]
        self.forward += lines
        if self.scaled:
            scales = [self.rng.choice((1.0, 0.1, 0.01, 0.001, 3.0)) for _ in range(n[0])]
            written = str([scales]) if self.rows else str([[s] for s in scales])
            self.forward.append(f"X = X0 * np.array({written})")

    def affine(self, i: int, A: str) -> str:
        product = f"{A} @ W{i}" if self.rows else f"W{i} @ {A}"
        return product if self.bias == "none" else f"{product} + b{i}"

    def normalised(self, i: int) -> str:
        axis = self.examples if self.norm == "batch" else 1 - self.examples
        self.forward += [
            f"D{i} = Z{i} - {self.averaged(f'Z{i}', axis)}",
            f"s{i} = np.sqrt({self.averaged(f'D{i}**2', axis)} + 0.1)",
            f"N{i} = D{i} / s{i}",
            f"H{i} = g{i} * N{i} + c{i}",
        ]
        return f"H{i}"

    def cost(self) -> None:
        Z = f"Z{self.depth}"
        units = 1 - self.examples
        if self.loss == "cross-entropy":
            self.forward.append(f"A{self.depth} = 1 / (1 + np.exp(-{Z}))")
            A = f"A{self.depth}"
            loss, sign = f"Y * np.log({A}) + (1 - Y) * np.log(1 - {A})", "-"
        elif self.loss == "softmax":
            self.forward.append(f"E = np.exp({Z})")
            self.forward.append(f"P = E / {self.summed('E', units)}")
            loss, sign = "Y * np.log(P)", "-"
        else:
            loss, sign = f"({Z} - Y)**2", ""
        half = " / 2" if self.loss == "half squares" else ""
        if self.mean == "mean of losses":
            self.forward.append(f"losses = {sign}np.sum({loss}, axis={units})")
            total = f"np.mean(losses){half}"
        elif self.mean == "1/m * sum":
            total = f"{sign}1/m * np.sum({loss}){half}"
        else:
            total = f"{sign}np.sum({loss}){half}{' / m' if self.mean == 'sum / m' else ''}"
        if self.penalty:
            squares = " + ".join(f"np.sum(W{i}**2)" for i in range(1, self.depth + 1))
            total += f" + {self.penalty} * ({squares})"
        self.forward.append(f"J = {total}")

    # --- backward: the textbook's rules --------------------------------------------------------

    def backward(self) -> None:
        last = {
            "cross-entropy": f"A{self.depth} - Y",
            "softmax": "P - Y",
            "squares": f"2 * (Z{self.depth} - Y)",
            "half squares": f"Z{self.depth} - Y",
        }[self.loss]
        divided = self.mean != "sum"
        if self.convention == "calculus" and divided:
            last = f"({last}) / m"
        self.claims[f"dZ{self.depth}"] = last
        over = " / m" if self.convention == "lecture" else ""
        for i in range(self.depth, 0, -1):
            dZ, before = f"dZ{i}", "X" if i == 1 else f"A{i - 1}"
            product = f"{before}.T @ {dZ}" if self.rows else f"{dZ} @ {before}.T"
            decay = {None: "", "lam / (2 * m)": f" + lam / m * W{i}", "lam / 2": f" + lam * W{i}"}
            self.claims[f"dW{i}"] = f"{product}{over}{decay[self.penalty]}"
            if self.bias == "matrix":
                self.claims[f"db{i}"] = self.summed(dZ, self.examples) + over
            elif self.bias == "vector":
                self.claims[f"db{i}"] = f"np.sum({dZ}, axis=0){over}"
            if i > 1:
                self.step(i - 1, dZ, over)

    def step(self, i: int, dZ: str, over: str) -> None:
        """From ``dZ`` of the layer above to that of layer i."""
        dA = f"{dZ} @ W{i + 1}.T" if self.rows else f"W{i + 1}.T @ {dZ}"
        Z = f"Z{i}" if self.norm == "none" else f"H{i}"
        _, slope = ACTIVATIONS[self.activations[i - 1]]
        slope = slope.format(z=Z, a=f"A{i}")
        if self.norm == "none" and self.rng.random() < 0.5:
            self.claims[f"dZ{i}"] = f"({dA}) * {slope}"
            return
        self.claims[f"dA{i}"] = dA
        self.claims[f"d{Z}"] = f"dA{i} * {slope}"
        if self.norm == "none":
            return
        axis = self.examples if self.norm == "batch" else 1 - self.examples
        self.claims[f"dg{i}"] = self.summed(f"dH{i} * N{i}", self.examples) + over
        self.claims[f"dc{i}"] = self.summed(f"dH{i}", self.examples) + over
        self.claims[f"dN{i}"] = f"dH{i} * g{i}"
        self.claims[f"dZ{i}"] = (
            f"(dN{i} - {self.averaged(f'dN{i}', axis)}"
            f" - N{i} * {self.averaged(f'dN{i} * N{i}', axis)}) / s{i}"
        )


def right(seed: int) -> Derivation:
    """A right derivation."""
    return _Writer(seed).write()


def wrong(seed: int) -> tuple[Derivation, str, str]:
    """A derivation with one wrong number: with the name of that line, and what was done to it."""
    derivation = right(seed)
    rng = random.Random(seed + 1_000_003)
    name = rng.choice([n for n in derivation.claims if not _is_zero(n, derivation)])
    formula = derivation.claims[name]
    size = rng.choice([*derivation.sizes, str(len(derivation.sizes) + 8)])
    slips = {
        "2": f"2 * ({formula})",
        "a half": f"({formula}) / 2",
        "1/m": f"({formula}) / m",
        "m": f"m * ({formula})",
        "a size": f"({formula}) / {size}",
        "a sign": f"-({formula})",
    }
    axes = list(re.finditer(r"axis=([01])", formula))
    if axes:
        at = rng.choice(axes)
        slips["an axis"] = f"{formula[: at.start(1)]}{1 - int(at[1])}{formula[at.end(1) :]}"
    plus = [at.start() for at in re.finditer(r" [+-] ", formula)]
    if plus:
        at = rng.choice(plus)
        other = "-" if formula[at + 1] == "+" else "+"
        slips["a sign inside"] = f"{formula[: at + 1]}{other}{formula[at + 2 :]}"
    what = rng.choice(list(slips))
    derivation.claims[name] = slips[what]
    return derivation, name, what


def _is_zero(name: str, derivation: Derivation) -> bool:
    """A bias in front of a normalisation over the examples moves nothing: its gradient is 0."""
    hidden = name.startswith("db") and int(name[2:]) < derivation.features["depth"]
    return hidden and derivation.features["norm"] == "batch"
