"""Optimisers: from a gradient to new numbers. Each is its formula, and takes PyTorch's path.

An optimiser holds settings only; what it remembers from step to step is a plain dictionary of
arrays that it is given and gives back, so that training can be saved and go on to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np

from tinygrad_edu.core.habits import OF_OPTIMISERS, no_argument, no_attribute
from tinygrad_edu.core.numbers import numbers
from tinygrad_edu.core.ops import elementwise
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.signature import (
    Amount,
    Count,
    Natural,
    Positive,
    Share,
    check_fields,
    checked,
    shown,
)
from tinygrad_edu.core.value import Value
from tinygrad_edu.nn.initialise import Array

Memory = dict[str, Any]


class Schedule(Protocol):
    """A learning rate that changes: the rate of step t = 1, 2, …

    Its `repr` stands for it in a checkpoint, so write a frozen dataclass, as those below are.
    """

    def __call__(self, t: int) -> float: ...


@dataclass(frozen=True)
class StepDecay:
    """The rate `lr`, multiplied by `factor` after every `every` steps.

    >>> [nn.StepDecay(8.0, every=2, factor=0.5)(t) for t in (1, 2, 3, 5)]
    [8.0, 8.0, 4.0, 2.0]
    """

    lr: Amount
    every: Count
    factor: Amount = 0.1

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, t: int) -> float:
        return self.lr * self.factor ** ((t - 1) // self.every)


@dataclass(frozen=True)
class Cosine:
    """From `lr` down to `low` along half a cosine in `steps` steps, and `low` after that.

    `warmup` steps before it rise linearly to `lr` (I. Loshchilov and F. Hutter, ICLR 2017).

    >>> [round(nn.Cosine(8.0, steps=4)(t), 9) for t in (1, 3, 5, 9)]
    [8.0, 4.0, 0.0, 0.0]
    """

    lr: Amount
    steps: Count
    low: Amount = 0.0
    warmup: Natural = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, t: int) -> float:
        if t <= self.warmup:
            return self.lr * t / self.warmup
        done = min((t - 1 - self.warmup) / self.steps, 1.0)
        return self.low + (self.lr - self.low) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Optimiser:
    """What all have in common: a learning rate, a number or a `Schedule`, and `step`."""

    lr: Amount | Schedule
    remembers: ClassVar[tuple[str, ...]] = ()  # what is kept per parameter, zero at the start

    def __new__(cls, *settings: Any, **named: Any) -> Self:
        """Answers what optimisers are asked elsewhere; a dataclass would blame its arguments."""
        if settings and isinstance(settings[0], Iterable):
            raise TypeError(
                f"{cls.__name__} takes no parameters, only settings: {cls.__name__}(0.001). "
                "Give them to step: memory = optimiser.step(net.parameters, memory)"
            )
        known = [field.name for field in fields(cls)]
        for name in named.keys() - set(known):
            raise no_argument(cls.__name__, name, known)
        return super().__new__(cls)

    if not TYPE_CHECKING:  # to mypy, what is not declared is not there

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, OF_OPTIMISERS)

    def __post_init__(self) -> None:
        check_fields(self)

    def update(self, t: int, lr: float, p: Any, g: Any, *kept: Any) -> tuple[Any, ...]:
        """New numbers for one parameter, and what to remember: a formula."""
        raise NotImplementedError

    def rate(self, t: int) -> float:
        """The learning rate of step t = 1, 2, …"""
        return self.lr(t) if callable(self.lr) else self.lr

    @checked
    def step(
        self,
        parameters: Mapping[str, Value],
        memory: Memory | None = None,
        gradients: Mapping[str, Any] | None = None,
    ) -> Memory:
        """Move every parameter against its gradient; returns the memory to give to the next step.

        `gradients`: those to use instead of each parameter's `.grad`. A parameter without one
        stays. All new numbers are computed before any is given to a parameter.

        Raises GradError for a gradient that is not of its parameter's shape, or of no parameter.

        >>> w = tg.Value(5.0, "w")
        >>> (w * w).backward()
        >>> memory = nn.GradientDescent(0.25).step({"w": w})
        >>> w.data
        2.5
        """
        for name in () if gradients is None else gradients.keys() - parameters.keys():
            raise GradError(
                f"step: there is a gradient of {name}, and no parameter is called that; there are "
                f"{', '.join(parameters)}"
            )
        memory = memory or {}
        t = memory.get("t", 0) + 1
        after: Memory = {**memory, "t": t}
        new: dict[str, Any] = {}
        for name, parameter in parameters.items():
            if not isinstance(parameter, Value):
                raise TypeError(f"step: a parameter is a Value; {name} is {shown(parameter)}")
            g = parameter.grad if gradients is None else gradients.get(name)
            if g is None:
                continue
            p, g = np.asarray(parameter.data), _floats(g, f"the gradient of {name}")
            if p.shape != g.shape:  # NumPy would broadcast some
                raise GradError(
                    f"step: {name} has shape {p.shape}, its gradient {g.shape}; they must be equal"
                )
            keys = [f"{name}.{letter}" for letter in self.remembers]
            kept = [memory[key] if key in memory else np.zeros_like(p) for key in keys]
            new[name], *kept = self.update(t, self.rate(t), p, g, *kept)
            after.update(zip(keys, kept, strict=True))
        for name, p in new.items():
            parameters[name].data = p
        return after


@dataclass(frozen=True)
class GradientDescent(Optimiser):
    """The lecture's update (S3, S5): ``p ← p − α dp``.

    >>> nn.GradientDescent(0.1).update(1, 0.1, 1.0, 5.0)
    (0.5,)
    """

    def update(self, t: int, lr: float, p: Any, g: Any, *kept: Any) -> tuple[Any, ...]:
        return (p - lr * g,)


@dataclass(frozen=True)
class Momentum(Optimiser):
    """A heavy ball: ``v ← β v + dp``, ``p ← p − α v`` (B. Polyak, 1964; as PyTorch's SGD).

    Some courses write ``v ← β v + (1−β) dp``: the same path with α/(1−β) for α.

    >>> nn.Momentum(0.1, beta=0.5).update(1, 0.1, 1.0, 4.0, 2.0)
    (0.5, 5.0)
    """

    beta: Share = 0.9
    remembers: ClassVar[tuple[str, ...]] = ("v",)

    def update(self, t: int, lr: float, p: Any, g: Any, *kept: Any) -> tuple[Any, ...]:
        v = self.beta * kept[0] + g
        return p - lr * v, v


@dataclass(frozen=True)
class RMSProp(Optimiser):
    """Steps divided by a running size of the gradient.

    ``s ← ρ s + (1−ρ) dp²``, ``p ← p − α dp/(√s + ε)``. G. Hinton, "Neural networks for
    machine learning", lecture 6e, 2012; ρ = 0.99 as in PyTorch.

    >>> nn.RMSProp(0.1, rho=0.5, eps=0.0).update(1, 0.1, 1.0, 3.0, 9.0)
    (0.9, 9.0)
    """

    rho: Share = 0.99
    eps: Amount = 1e-8
    remembers: ClassVar[tuple[str, ...]] = ("s",)

    def update(self, t: int, lr: float, p: Any, g: Any, *kept: Any) -> tuple[Any, ...]:
        s = self.rho * kept[0] + (1 - self.rho) * g * g
        return p - lr * g / (elementwise.sqrt(s) + self.eps), s


@dataclass(frozen=True)
class Adam(Optimiser):
    """Momentum and RMSProp together, both corrected for starting at zero.

    ``v ← β₁ v + (1−β₁) dp``, ``s ← β₂ s + (1−β₂) dp²``,
    ``p ← p − α (v/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)`` (D. Kingma and J. Ba, ICLR 2015).

    >>> p, v, s = nn.Adam(0.1, eps=0.0).update(1, 0.1, 1.0, 4.0, 0.0, 0.0)
    >>> round(p, 12)  # the first step is α long, whatever the gradient
    0.9
    """

    lr: Amount | Schedule = 0.001
    beta1: Share = 0.9
    beta2: Share = 0.999
    eps: Amount = 1e-8
    remembers: ClassVar[tuple[str, ...]] = ("v", "s")

    def update(self, t: int, lr: float, p: Any, g: Any, *kept: Any) -> tuple[Any, ...]:
        v = self.beta1 * kept[0] + (1 - self.beta1) * g
        s = self.beta2 * kept[1] + (1 - self.beta2) * g * g
        # √(1−β₂ᵗ) is taken out of the divisor: a number, where s is an array.
        unbias = (1 - self.beta2**t) ** 0.5
        size = elementwise.sqrt(s) + self.eps * unbias
        return p - lr * unbias / (1 - self.beta1**t) * v / size, v, s


def _floats(g: Any, what: str) -> Any:
    """A gradient as numbers: an array of floats itself, which every step has, is not copied."""
    floats = type(g) is np.ndarray and g.dtype.kind == "f"
    return g if floats else np.asarray(numbers(g, what=what))


@checked
def norm_of(gradients: Mapping[str, Any]) -> float:
    """The length of all gradients as one vector.

    >>> nn.norm_of({"W1": np.array([[3.0]]), "b1": 4.0})
    5.0
    """
    return _length("norm_of", gradients)


def _length(what: str, gradients: Mapping[str, Any]) -> float:
    arrays = (_floats(g, f"{what}: {name}") for name, g in gradients.items())
    return math.sqrt(sum(float(np.vdot(g, g)) for g in arrays))


@checked
def clip_norm(gradients: Mapping[str, Any], limit: Positive) -> dict[str, Array]:
    """The gradients, shortened together so that their `norm_of` is at most `limit`.

    The direction stays (R. Pascanu et al., ICML 2013).

    >>> nn.clip_norm({"w": np.array([3.0, 4.0])}, 1.0)["w"].tolist()
    [0.6000000000000001, 0.8]
    """
    length = _length("clip_norm", gradients)
    scale = min(1.0, limit / length) if length else 1.0
    return {name: g * scale for name, g in gradients.items()}
