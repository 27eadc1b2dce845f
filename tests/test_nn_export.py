"""The exported program: the same operations, gradients and path, on one device and on eight."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.nn.export import JaxArray, export

jax = pytest.importorskip("jax")


@pytest.fixture(autouse=True)
def _in_double_precision():
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


RNG = np.random.default_rng(0)
X23, Y23 = RNG.uniform(0.1, 0.9, (2, 3)), RNG.uniform(0.1, 0.9, (2, 3))
MASK = np.array([[1.0, 0, 1], [0, 1, 0]])
#: What cannot be called on one or two (2, 3) arrays of numbers from 0.1 to 0.9.
INPUTS = {
    "where": ((MASK, X23, Y23), {}), "power_constant": ((X23,), {"n": 3}),
    "clip": ((X23,), {"min": 0.3, "max": 0.6}), "reshape": ((X23,), {"shape": (3, 2)}),
    "broadcast_to": ((X23,), {"shape": (4, 2, 3)}), "sum_to": ((X23,), {"shape": (2, 1)}),
    "getitem": ((X23,), {"index": (slice(None), np.array([0, 0, 2]))}),
    "scatter": ((X23,), {"index": (slice(None), np.array([0, 0, 2])), "shape": (2, 4)}),
    "joined": ((X23, Y23), {"axis": 1}), "matmul": ((X23, Y23.T), {}),
    "softmax": ((X23,), {"axis": 0}), "log_softmax": ((X23,), {"axis": 1}),
    "prod_of_others": ((X23,), {"axis": 1}), "power_log": ((X23, Y23), {"logs": 1}),
    "power_term": ((X23, Y23, X23[:1]), {"logs": 1}),
    **{name: ((X23 @ Y23.T,), {}) for name in ("det", "cofactors", "log_abs_det", "sign_of_det")},
    "inv": ((X23.T @ X23 + np.eye(3),), {}), "cholesky_factor": ((X23.T @ X23 + np.eye(3),), {}),
    "eigh_part": ((X23 @ X23.T,), {"part": 1}), "svd_part": ((X23,), {"part": 0}),
    "qr_part": ((X23.T,), {"part": 0}), "over_gaps": ((X23, Y23[0], Y23[:, 0] + 1), {}),
    "windows": ((X23,), {"lengths": (2,), "axes": (1,)}),
    "windows_summed": ((X23,), {"lengths": (3,), "axes": (0,), "shape": (4,)}),
    "ranks": ((X23,), {"axis": 1}), "picked_along": ((X23, 2 * MASK), {"axis": 1}),
    "placed_along": ((X23, 2 * MASK), {"axis": 1, "n": 4}),
    "sinc_slope": ((X23,), {"order": 1}), "arccosh": ((1 + X23,), {}),
    "cumsum": ((X23,), {"axis": 1}), "std": ((X23,), {"axis": 1, "ddof": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.one_in(20)
def test_every_operation_and_its_rules_are_the_same_in_jax(name):
    op = TABLE[name]
    inputs, options = INPUTS.get(name, ((X23, Y23)[: op.n_inputs], {}))
    z = np.asarray(op.evaluate(inputs, options))
    there = op(*(JaxArray(jax.numpy.asarray(x)) for x in inputs), **options)
    np.testing.assert_allclose(there.array, z, rtol=1e-12, atol=1e-15)
    if not op.differentiable:
        return
    leaves = [tg.Value(x, f"x{i}") for i, x in enumerate(inputs)]
    cost = tg.sum(op(*leaves, **options) * RNG.standard_normal(z.shape))
    cost.backward()
    J, gradients = jax.jit(export(cost))()
    assert float(J) == pytest.approx(cost.item())
    for leaf in leaves:
        here = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad
        np.testing.assert_allclose(gradients[leaf.name], here, rtol=1e-10, atol=1e-14)


NETS = {
    "the lecture's": lambda: nn.Network(3, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid"), l2=0.1),
    "softmax": lambda: nn.Network(3, nn.Dense(5, "relu"), nn.Dense(4, "softmax")),
    "normalised": lambda: nn.Network(
        3, nn.Dense(5), nn.LayerNorm("leaky_relu"), nn.Dense(4, "softplus"), nn.Dense(2)
    ),
}


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.one_in(3)
def test_a_networks_program_gives_its_gradients_for_new_numbers_and_sizes(kind):
    net = NETS[kind]()
    program = jax.jit(export(net.cost(*net.example(m=5))))
    X, Y = net.example(m=8)
    numbers = {name: 1.3 * a + 0.01 for name, a in net.state().items()}
    net.restore(numbers)
    cost = net.cost(X, Y)
    cost.backward()
    J, gradients = program(X=X, Y=Y, **numbers)
    assert float(J) == pytest.approx(cost.item())
    assert set(gradients) == set(net.parameters)
    for name, p in net.parameters.items():
        np.testing.assert_allclose(gradients[name], p.grad, rtol=1e-10, atol=1e-14)


@pytest.mark.slow
def test_what_jax_compiles_agrees_with_jaxs_own_derivative():
    net = NETS["softmax"]()
    program = export(net.cost(*net.example(m=6)))
    numbers = {name: jax.numpy.asarray(a) for name, a in net.state().items()}
    _, ours = program(**numbers)
    theirs = jax.grad(lambda numbers: program(**numbers)[0])(numbers)
    for name, g in theirs.items():
        np.testing.assert_allclose(ours[name], g, rtol=1e-10, atol=1e-14)


EIGHT = """
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
import tinygrad_edu as tg
from tinygrad_edu import nn
jax.config.update("jax_enable_x64", True)
assert jax.device_count() == 8
net = nn.Network(6, nn.Dense(5, "tanh"), nn.Dense(3, "softmax"), seed=1)
program = jax.jit(tg.export(net.cost(*net.example(m=4))))
X, Y = net.example(m=64)
mesh = Mesh(np.array(jax.devices()), ("examples",))
spread = NamedSharding(mesh, P(None, "examples"))
X8, Y8 = jax.device_put(X, spread), jax.device_put(Y, spread)
assert len(X8.addressable_shards) == 8 and X8.addressable_shards[0].data.shape == (6, 8)
here = {name: np.array(p.data) for name, p in net.parameters.items()}
there = {name: jax.device_put(p, NamedSharding(mesh, P())) for name, p in here.items()}
for step in range(20):
    cost = net.cost(X, Y)
    for p in net.parameters.values():
        p.zero_grad()
    cost.backward()
    J, gradients = program(X=X8, Y=Y8, **there)
    np.testing.assert_allclose(float(J), cost.item(), rtol=1e-12)
    for name, p in net.parameters.items():
        np.testing.assert_allclose(gradients[name], p.grad, rtol=1e-9, atol=1e-13)
        p.data -= 0.5 * p.grad
    there = {name: p - 0.5 * gradients[name] for name, p in there.items()}
for name, p in net.parameters.items():
    np.testing.assert_allclose(there[name], p.data, rtol=1e-9, atol=1e-12)
assert "all-reduce" in program.lower(X=X8, Y=Y8, **there).compile().as_text()
print("same")
"""


@pytest.mark.slow
def test_eight_devices_with_an_eighth_of_the_examples_each_take_the_same_path():
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(EIGHT)],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "same", done.stderr[-2000:]


def test_mistakes_are_told(monkeypatch):
    w, v = tg.Value([1.0, 2.0], "w"), tg.Value([3.0, 4.0])
    with pytest.raises(tg.GradError, match="a single number"):
        export(w * 2)
    with pytest.raises(tg.GradError, match="has no name"):
        export(tg.sum(w * v))
    v.name = "w"
    with pytest.raises(tg.GradError, match="two leaves are called w"):
        export(tg.sum(w * v))
    v.name = "v"
    with pytest.raises(tg.GradError, match="the engine is 'jax'"):
        export(tg.sum(w * v), "torch")
    with pytest.raises(TypeError, match="no leaf u; it has w, v"):
        export(tg.sum(w * v))(u=1.0)
    monkeypatch.setitem(sys.modules, "jax", None)
    monkeypatch.setitem(sys.modules, "jax.numpy", None)
    with pytest.raises(ImportError, match="pip install jax"):
        export(tg.sum(w * v))


def test_what_is_given_for_a_leaf_has_as_many_axes():
    W = tg.Value(np.ones((2, 3)), "W")
    program = export(tg.mean((W @ tg.Value(np.ones((3, 4)), "X", False)) ** 2))
    assert float(program(X=np.ones((3, 7)))[0]) == 9.0
    with pytest.raises(tg.GradError, match=r"X: shape \(\) was given, .* for \(3, 4\)"):
        program(X=1.0)
    with pytest.raises(tg.GradError, match="W: the integer is too large"):
        program(W=10**400)
