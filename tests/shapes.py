"""Random sheets of indices, reshapes and products of any number of axes.

Each is a text whose lengths all have names, so that it can be had at other lengths too; its labels,
places and numbers are drawn when it is run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Pairwise different, and so are one less and twice as many, so that no axis is taken for another;
#: and others.
LENGTHS = (
    {"m": 12, "n": 5, "k": 7, "d": 9, "v": 16, "w": 20},
    {"m": 4, "n": 5, "k": 3, "d": 6, "v": 8, "w": 2},
)
GIVENS = {
    "X": ("m", "n"), "W": ("n", "k"), "C": ("k", "m"), "E": ("v", "d"), "B": ("m", "n", "d"),
    "Q": ("m", "d", "n"), "u": ("n",), "q": ("k",), "r": ("m",), "F": ("m", "n * d"), "z": ("v",),
    "G": ("m", "2 * k"), "H": ("k", "d"),
}  # fmt: skip
LABELS = {
    "y": ("m", "k"), "e": ("m", "v"), "f": ("w", "v"), "a": ("w", "m"), "i": ("", "v"),
    "j": ("", "k"), "l": ("m", "n"),
}  # fmt: skip

Shape = tuple[str, ...]
Found = tuple[str, Shape] | None


class Writer:
    """Writes the lines of one sheet: the quantities so far with their shapes, by name."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.pool: dict[str, Shape] = dict(GIVENS)
        self.lines: list[str] = []
        self.used: set[str] = set()

    def pick(self, *ndims: int) -> tuple[str, Shape]:
        """A quantity with one of so many axes, the later ones more often."""
        fits = [name for name, shape in self.pool.items() if len(shape) in ndims]
        if self.rng.random() < 0.6:
            fits = fits[-3:]
        name = fits[self.rng.integers(len(fits))]
        return name, self.pool[name]

    def like(self, shape: Shape) -> str:
        """A quantity of this shape."""
        fits = [name for name, other in self.pool.items() if other == shape]
        return fits[self.rng.integers(len(fits))]

    def having(self, test: Any) -> tuple[str, Shape] | None:
        fits = [(name, shape) for name, shape in self.pool.items() if test(shape)]
        return fits[self.rng.integers(len(fits))] if fits else None

    def axis(self, shape: Shape) -> int:
        return int(self.rng.integers(len(shape)))

    # --- steps: each gives a formula and the shape of what it is ----------------------------------

    def element_wise(self) -> Found:
        x, shape = self.pick(1, 2, 3)
        other = self.like(shape)
        forms = [
            f"np.tanh({x})", f"sigmoid({x})", f"np.maximum(0, {x})", f"{x} * {other}",
            f"{x} + {other}", f"{x} - {other}", f"{x}**2", f"{x} / (1 + {other}**2)", f"2 * {x}",
        ]  # fmt: skip
        return forms[self.rng.integers(len(forms))], shape

    def new_axis(self) -> Found:
        x, (a,) = self.pick(1)
        y, (b,) = self.pick(1)
        form = self.rng.integers(4)
        if form == 0:
            return f"{x}[:, None] * {y}", (a, b)
        if form == 1:
            return f"{x}[:, None] + {y}[None, :]", (a, b)
        if form == 2:
            return f"np.outer({x}, {y})", (a, b)
        wide = self.having(lambda shape: len(shape) == 2 and a in shape)
        if wide is None:
            return None
        z, shape = wide
        return f"{z} {'+-*'[self.rng.integers(3)]} {x}{'' if shape[1] == a else '[:, None]'}", shape

    def picked(self) -> Found:
        y, (n, k) = list(LABELS.items())[[0, 1, 6][self.rng.integers(3)]]
        rows = self.having(lambda shape: shape in ((n, k), (k, n)))
        if rows is None:
            return None
        x, shape = rows
        index = f"np.arange({n}), {y}" if shape == (n, k) else f"{y}, np.arange({n})"
        return f"{x}[{index}]", (n,)

    def gathered(self) -> Found:
        y = list(LABELS)[self.rng.integers(len(LABELS))]
        n, k = LABELS[y]
        table = self.having(lambda shape: shape[:1] == (k,))
        if table is None or not (n or len(table[1]) > 1):
            return None
        x, shape = table
        return f"{x}[{y}]", ((n,) if n else ()) + shape[1:]

    def gathered_columns(self) -> Found:
        y = list(LABELS)[self.rng.integers(4)]
        n, k = LABELS[y]
        table = self.having(lambda shape: len(shape) == 2 and shape[1] == k)
        return None if table is None else (f"{table[0]}[:, {y}]", (table[1][0], n))

    def one_hot(self) -> Found:
        rows = self.having(lambda shape: shape in (("m", "k"), ("k", "m")))
        if rows is None:
            return None
        x, shape = rows
        labels = "np.eye(k)[y]" if shape == ("m", "k") else "np.eye(k)[:, y]"
        return f"{x} * {labels}", shape

    def sliced(self) -> Found:
        x, shape = self.pick(1, 2, 3)
        if shape == ("m", "2 * k"):
            return (f"{x}[:, {':k' if self.rng.random() < 0.5 else 'k:'}]", ("m", "k"))
        if "*" in shape[0] or "-" in shape[0]:
            return None
        n, rest = shape[0], shape[1:]
        forms = [("1:", f"{n} - 1"), (":-1", f"{n} - 1"), (f":{n} - 1", f"{n} - 1")]
        if rest:
            forms += [("0", ""), ("-1", "")]
        index, left = forms[self.rng.integers(len(forms))]
        return f"{x}[{index}]", ((left,) if left else ()) + rest

    def last_entry(self) -> Found:
        x, shape = self.pick(2, 3)
        return f"{x}[:, {[0, -1][self.rng.integers(2)]}]", (shape[0], *shape[2:])

    def joined(self) -> Found:
        x, shape = self.pick(1, 2, 3)
        axis, y = self.axis(shape), self.like(shape)
        if " " in shape[axis]:
            return None
        new = (*shape[:axis], f"2 * {shape[axis]}", *shape[axis + 1 :])
        return f"np.concatenate([{x}, {y}], axis={axis})", new

    def windows(self) -> Found:
        x, shape = self.pick(1, 2)
        if shape[0] not in ("m", "v"):
            return None
        n = shape[0]
        line = f"at{n} = np.arange({n} - 1)[:, None] + np.arange(2)"
        if line not in self.lines:
            self.lines.append(line)
        return f"np.sum({x}[at{n}], axis=1)", (f"{n} - 1", *shape[1:])

    def product(self) -> Found:
        x, left = self.pick(1, 2, 3)
        right = self.having(
            lambda s: (
                s[max(len(s) - 2, 0)] == left[-1]
                and (len(s) < 3 or len(left) < 3 or s[0] == left[0])
            )
        )
        if right is None:
            return None
        y, s = right
        if len(left) == 1 and len(s) == 3:
            return f"{x} @ {y}", (s[0], s[2])
        batch = left[:-2] or s[:-2]
        shape = (*batch, *left[-2:-1], *(s[-1:] if len(s) > 1 else ()))
        return (f"{x} @ {y}", shape) if shape else None

    def transposed(self) -> Found:
        x, shape = self.pick(2, 3)
        if len(shape) == 2:
            return f"{x}.T", shape[::-1]
        orders = [(0, 2, 1), (1, 0, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)]
        order = orders[self.rng.integers(len(orders))]
        return f"{x}.transpose{order}", tuple(shape[a] for a in order)

    def flipped_product(self) -> Found:
        x, shape = self.pick(3)
        y = self.having(lambda s: len(s) == 3 and s[0] == shape[0] and s[2] == shape[2])
        if y is None:
            return None
        return f"{x} @ {y[0]}.transpose(0, 2, 1)", (shape[0], shape[1], y[1][1])

    def reshaped(self) -> Found:
        x, shape = self.pick(2, 3)
        if shape == ("m", "n * d"):
            return f"{x}.reshape(m, n, d)", ("m", "n", "d")
        if len(shape) == 3 and not any(" " in n for n in shape):
            return f"{x}.reshape({shape[0]}, {shape[1]} * {shape[2]})", (
                shape[0], f"{shape[1]} * {shape[2]}",
            )  # fmt: skip
        return None

    def reduced(self) -> Found:
        x, shape = self.pick(2, 3)
        axis = self.axis(shape)
        f = ["sum", "mean", "max"][self.rng.choice(3, p=[0.5, 0.4, 0.1])]
        left = (*shape[:axis], *shape[axis + 1 :])
        if self.rng.random() < 0.3:
            return f"{x} - np.{f}({x}, axis={axis}, keepdims=True)", shape
        return f"np.{f}({x}, axis={axis})", left

    def weighted(self) -> Found:
        x, shape = self.pick(2)
        w = self.having(lambda s: s == shape[1:])
        return None if w is None else (f"np.sum({x} * {w[0]}, axis=1)", shape[:1])

    def softmax(self) -> Found:
        x, shape = self.pick(1, 2, 3)
        axis = self.axis(shape)
        if self.rng.random() < 0.5:
            return f"softmax({x}, axis={axis})", shape
        return f"np.exp({x} - logsumexp({x}, axis={axis}, keepdims=True))", shape

    def log_picked(self) -> Found:
        y, (n, k) = list(LABELS.items())[[0, 1, 6][self.rng.integers(3)]]
        rows = self.having(lambda shape: shape in ((n, k), (k, n)))
        if rows is None:
            return None
        x, shape = rows
        by_row = shape == (n, k)
        index = f"np.arange({n}), {y}" if by_row else f"{y}, np.arange({n})"
        name = f"P{len(self.lines)}"
        self.lines.append(f"{name} = softmax({x}, axis={1 if by_row else 0})")
        self.pool[name] = shape
        self.used.add(x)
        return f"-np.log({name}[{index}])", (n,)


STEPS = [
    Writer.element_wise, Writer.new_axis, Writer.picked, Writer.gathered, Writer.gathered_columns,
    Writer.one_hot, Writer.sliced, Writer.last_entry, Writer.joined, Writer.windows, Writer.product,
    Writer.product, Writer.transposed, Writer.flipped_product, Writer.reshaped, Writer.reduced,
    Writer.weighted, Writer.softmax, Writer.log_picked, Writer.element_wise,
]  # fmt: skip


def forward(seed: int) -> list[str]:
    """The forward lines of a random sheet."""
    writer = Writer(seed)
    rng = writer.rng
    i = 0
    for _ in range(int(rng.integers(3, 9))):
        found = STEPS[rng.integers(len(STEPS))](writer)
        if found is None or len(found[1]) > 3 or any(n.count(" ") > 2 for n in found[1]):
            continue
        formula, shape = found
        name = f"Y{i}"
        i += 1
        if rng.random() < 0.25 and shape and writer.lines:  # one quantity without a name
            formula = f"np.tanh({formula}) * 2"
        writer.lines.append(f"{name} = {formula}")
        if shape:
            writer.pool[name] = shape
    ends = [name for name in writer.pool if name[0] == "Y"][-2:] or ["X"]
    terms = [
        f"np.sum({name}{['', '**2'][rng.integers(2)]})"
        if rng.random() < 0.8
        else f"np.mean({name}**2)"
        for name in ends
    ]
    cost = " + ".join(terms)
    if rng.random() < 0.5:
        cost = f"({cost}) / {['m', '(2 * m)'][rng.integers(2)]}"
    return [*writer.lines, f"J = {cost}"]


def sheet(seed: int, lengths: dict[str, int]) -> str:
    """A random sheet at these lengths."""
    body = forward(seed)
    text = "\n".join(body)
    read = lambda name: any(  # noqa: E731
        part == name for line in body for part in _names(line)
    )
    given = [f"{name}: ({', '.join(shape)},)" for name, shape in GIVENS.items() if read(name)]
    given += [
        f"{name}: ({n + ',' if n else ''}) = integers(0, {k})"
        for name, (n, k) in LABELS.items() if read(name)
    ]  # fmt: skip
    return "\n".join([*(f"{n} = {x}" for n, x in lengths.items()), *given, text]) + "\n"


def _names(line: str) -> list[str]:
    return "".join(c if c.isalnum() or c in "_." else " " for c in line).replace(".", " .").split()
