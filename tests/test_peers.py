"""Every operation against JAX and PyTorch: values, and gradients with a random upstream."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from domains import ROWS, Case, cases, some_cases
from oracles import gradients, same, upstream
from peers import JAX, TORCH

import tinygrad_edu as tg

TOLERANCE = 1e-12

every_operation = pytest.mark.parametrize("name", ROWS)


@pytest.mark.parametrize("peer", [JAX, TORCH], ids=["jax", "torch"])
def test_every_operation_has_a_peer(peer):
    assert set(peer) == set(ROWS)


@pytest.fixture
def jax():
    """JAX in double precision, for this test only; it need not make our small programs fast."""
    jax = pytest.importorskip("jax")
    switches = ("jax_enable_x64", "jax_disable_most_optimizations")
    for switch in switches:
        jax.config.update(switch, True)
    yield jax
    for switch in switches:
        jax.config.update(switch, False)


@pytest.mark.slow
@every_operation
def test_jax_says_the_same(name, jax):
    drawn = some_cases(name, salt=7)[::2]  # compiling is slow
    seeds = [upstream(c, np.shape(c.call(*c.arrays, **c.options)), 7) for c in drawn]

    def asked(case: Case, inputs: Any, dz: Any) -> Any:
        z, pull = jax.vjp(lambda *xs: JAX[name](jax, *xs, **case.options), *inputs)
        return z, pull(dz)

    @jax.jit  # one program for all: each function of JAX compiled alone would take minutes
    def all_asked(inputs: Any, seeds: Any) -> Any:
        return [asked(*each) for each in zip(drawn, inputs, seeds)]

    inputs = [[np.asarray(x, dtype=float) for x in case.arrays] for case in drawn]
    for case, dz, (z, theirs) in zip(drawn, seeds, all_asked(inputs, [*map(np.asarray, seeds)])):
        assert_same(case, z, dz, theirs)


#: Of which the second derivatives are asked too: what has rules that are not of one line.
TWICE = (
    "cofactors", "log_abs_det", "cholesky_factor", "eigh_part", "svd_part", "qr_part", "pinv",
    "norm of an order", "over_gaps", "windows", "windows_summed", "share", "logaddexp", "conv1d",
    "conv2d", "max_pool2d", "avg_pool2d", "layer_norm", "batch_norm", "rms_norm", "attention",
    "embedding", "dropout", "huber", "hinge", "kl_divergence",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", TWICE)
def test_jax_says_the_same_of_second_derivatives(name, jax):
    """Of the gradient along random directions, differentiated again."""
    for case in some_cases(name, salt=9)[:1]:
        xs = [np.asarray(x, dtype=float) for x in case.arrays]
        dz = np.asarray(upstream(case, np.shape(case.call(*case.arrays, **case.options)), 9))
        rng = np.random.default_rng(9)
        along = [rng.standard_normal(x.shape) for x in xs]

        def theirs(*ys: Any, case: Case = case, dz: Any = dz, along: Any = along) -> Any:
            def weighted(*zs: Any) -> Any:
                return jax.numpy.sum(dz * JAX[name](jax, *zs, **case.options))

            found = jax.grad(weighted, case.wrt)(*ys)
            return sum(jax.numpy.sum(g * along[i]) for i, g in zip(case.wrt, found))

        def ours(*ys: Any, case: Case = case, dz: Any = dz, along: Any = along) -> Any:
            def weighted(*zs: Any) -> Any:
                return tg.sum(dz * case.call(*zs, **case.options))

            found = tg.grad(weighted, case.wrt)(*ys)
            return sum(tg.sum(g * along[i]) for i, g in zip(case.wrt, found))

        expected = jax.grad(theirs, case.wrt)(*xs)
        for i, g, want in zip(case.wrt, tg.grad(ours, case.wrt)(*xs), expected):
            same(g, np.asarray(want), 1e-10, f"{case}, second order, input {i}")


@every_operation
def test_pytorch_says_the_same(name):
    torch = pytest.importorskip("torch")
    for case in cases(name, salt=7):
        inputs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in case.arrays]
        z = TORCH[name](torch, *inputs, **case.options)
        dz = upstream(case, tuple(z.shape), 7)
        found = inputs
        if case.wrt:
            found = torch.autograd.grad(
                z, inputs, torch.tensor(dz, dtype=torch.float64), allow_unused=True
            )
        assert_same(case, z.detach(), dz, found)


def assert_same(case: Case, z: Any, dz: Any, theirs: Any) -> None:
    """The value of a case is z, and its gradients are theirs."""
    same(case.call(*case.arrays, **case.options), np.asarray(z), TOLERANCE, f"{case}")
    if case.wrt:
        ours = gradients(case, case.arrays, dz)
        for i in case.wrt:
            same(ours[i], np.asarray(theirs[i]), TOLERANCE, f"{case}, input {i}")
