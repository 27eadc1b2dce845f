"""What people know from other libraries works, or an error says what it is called here."""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.core import habits

EXAMPLES = Path(__file__).parent.parent / "examples"
TABLES = (
    habits.OF_A_VALUE, habits.OF_NUMPY, habits.OF_THE_PACKAGE, habits.OF_NETWORKS,
    habits.OF_OPTIMISERS, habits.OF_HISTORY, habits.ARGUMENTS, *habits.ARGUMENTS_OF.values(),
    habits.ACTIVATIONS, habits.LOSSES,
)  # fmt: skip

V = tg.Value([1.0, 2.0], "v")
NET = nn.Network(2, nn.Dense(1, "sigmoid"), seed=0)
HISTORY = NET.fit(np.zeros((2, 3)), np.zeros((1, 3)), epochs=1)


@pytest.mark.parametrize("page, heading, made", [
    ("coming_from", "## Names", "names"), ("mistakes", "## The catalogue", "mistakes"),
])  # fmt: skip
def test_the_guide_has_the_tables_that_the_package_has(page, heading, made):
    tools = runpy.run_path(str(EXAMPLES / "tools" / "make_guide.py"))
    text = (EXAMPLES / "guide" / f"{page}.md").read_text(encoding="utf-8")
    assert text.split(f"{heading}\n\n")[1] == tools[made](), "run examples/tools/make_guide.py"


@pytest.mark.parametrize("here", sorted({here for words in TABLES for here in words.values()}))
def test_what_an_error_names_is_there(here):
    places = {"tg": tg, "nn": nn, "v": V, "net": NET, "np": np, "cost": V, "optimiser": nn.Adam}
    for place, name in re.findall(r"\b(tg|nn|v|net|np|cost|optimiser)\.([A-Za-z]\w*)", here):
        assert hasattr(places[place], name), f"{place}.{name}"
    for key in re.findall(r"history\['(\w+)'\]", here):
        assert key.removeprefix("validation_") in HISTORY


@pytest.mark.parametrize("name", habits.OF_A_VALUE)
def test_an_attribute_of_a_value_elsewhere_is_answered(name):
    with pytest.raises(AttributeError, match=re.escape(habits.OF_A_VALUE[name])):
        getattr(V, name)


#: How a function of NumPy's that has no rule is called; a second item gives its numbers otherwise.
NO_RULE = {
    "conjugate": (np.conj, lambda v: v), "real": (np.real, lambda v: v),
    "imag": (np.imag, lambda v: 0 * v), "copy": (np.copy, lambda v: +v),
    "cbrt": (np.cbrt, lambda v: np.sign(v) * np.abs(v)**(1/3)),
    "nan_to_num": (np.nan_to_num, lambda v: np.where(np.isnan(v), 0, v)),
    "trapezoid": (lambda v: np.trapezoid(v, np.arange(3.0)),
                  lambda v: np.sum((v[1:] + v[:-1]) / 2 * np.diff(np.arange(3.0)))),
    "polyval": (lambda v: np.polyval([3, 4, 5], v), lambda v: 3 * v**2 + 4 * v + 5),
    "percentile": (lambda v: np.percentile(v, 50), np.median),
    "quantile": (lambda v: np.quantile(v, 0.5), np.median),
    "gradient": (lambda v: np.gradient(v)[1:-1], lambda v: (v[2:] - v[:-2]) / 2),
    "vecdot": (lambda v: np.vecdot(v, v), lambda v: np.sum(v * v, axis=-1)),
    "unstack": (lambda v: np.unstack(v), None),
    "matvec": (lambda v: np.matvec(np.eye(3), v), lambda v: np.eye(3) @ v),
    "meshgrid": (lambda v: np.meshgrid(v, v),
                 lambda v: np.stack(np.broadcast_arrays(v[None, :], v[:, None]))),
    "lstsq": (lambda v: np.linalg.lstsq(np.eye(3), v)[0], lambda v: np.linalg.pinv(np.eye(3)) @ v),
    "select": (lambda v: np.select([v > 1], [v], 7.0), lambda v: np.where(v > 1, v, 7.0)),
    "piecewise": (lambda v: np.piecewise(v, [v > 1], [7.0]), None),
    "copyto": (lambda v: np.copyto(v, 0.0), None),
    "fill_diagonal": (lambda v: np.fill_diagonal(v, 0.0), None),
    "put_along_axis": (lambda v: np.put_along_axis(v, np.array([0]), 0.0, 0), None),
    "apply_along_axis": (lambda v: np.apply_along_axis(np.sum, 0, v), np.sum),
}  # fmt: skip


def test_every_function_of_numpys_that_has_an_answer_is_tried():
    assert NO_RULE.keys() | {"astype"} == habits.OF_NUMPY.keys()


@pytest.mark.parametrize("name", NO_RULE)
def test_a_function_of_numpys_without_a_rule_is_answered_with_what_has_its_numbers(name):
    function, instead = NO_RULE[name]
    if name in ("matvec", "unstack") and not hasattr(np, name):
        pytest.skip("this NumPy has no such function")
    leaf = tg.Value([-1.5, 2.5, 8.0], "v")
    with pytest.raises(TypeError, match=re.escape(f"here it is {habits.OF_NUMPY[name]}")):
        function(leaf)
    if instead is not None:
        z = instead(leaf)
        assert np.allclose(z.data, function(leaf.data.copy()), rtol=1e-14)


@pytest.mark.parametrize("name", habits.OF_THE_PACKAGE)
def test_a_name_of_a_package_elsewhere_is_answered(name):
    rooms = [room for room in (tg, nn) if name not in room.__all__ and name not in vars(room)]
    for room in rooms:
        with pytest.raises(AttributeError, match=re.escape(habits.OF_THE_PACKAGE[name])):
            getattr(room, name)


OWN_WORDS = [
    *((NET, name, here) for name, here in habits.OF_NETWORKS.items()),
    *((nn.Adam(), name, here) for name, here in habits.OF_OPTIMISERS.items()),
    *((HISTORY, name, here) for name, here in habits.OF_HISTORY.items()),
]


@pytest.mark.parametrize("x, name, here", OWN_WORDS)
def test_an_attribute_of_networks_elsewhere_is_answered_as_is_true_of_what_is_asked(x, name, here):
    assert not hasattr(x, name)
    with pytest.raises(AttributeError, match=re.escape(here)):
        getattr(x, name)


@pytest.mark.parametrize("name", ["log_softmax", "maximum", "cosh", "where", "outer"])
def test_an_operation_that_is_no_method_is_named(name):
    assert name not in dir(V)
    with pytest.raises(AttributeError, match=f"here it is tg.{name}"):
        getattr(V, name)


@pytest.mark.parametrize(
    "room, name, said",
    [
        (tg, "isnan", r"np\.isnan\(v\)"), (tg, "argmax", r"np\.argmax\(v\)"),
        (tg, "percentile", r"np\.median\(v\)"), (tg, "Dense", r"nn\.Dense"),
        (tg, "clip_norm", r"nn\.clip_norm"), (nn, "relu", r"tg\.relu"), (nn, "grad", r"tg\.grad"),
    ],
)  # fmt: skip
def test_a_name_that_is_elsewhere_in_numpy_or_here_is_answered(room, name, said):
    with pytest.raises(AttributeError, match=f"here it is {said}"):
        getattr(room, name)


def function_called(name):
    """The function that the tables of keywords mean."""
    return next(getattr(room, name) for room in (tg, nn) if hasattr(room, name))


@pytest.mark.parametrize("functions", habits.ARGUMENTS_OF)
def test_words_about_some_functions_are_about_keywords_they_do_not_have(functions):
    for name in functions.split():
        f = function_called(name)
        has = f.parameters if isinstance(f, tg.Primitive) else inspect.signature(f).parameters
        assert not set(has) & habits.ARGUMENTS_OF[functions].keys()
        assert all(
            here.removesuffix("=") in has
            for here in habits.ARGUMENTS_OF[functions].values()
            if re.fullmatch(r"\w+=", here)
        )


FALSE_ELSEWHERE = {
    "p is no rate of Adam": (lambda: nn.Adam(p=1), "p=$"),
    "units have no axis": (lambda: nn.Dense(3, dim=2), "'dim'$"),
    "what norm calls p": (lambda: tg.norm(V, p=1), "here it is ord=$"),
    "the one axis of flip": (lambda: tg.flip(V, dims=0), "here it is axis=$"),
    "the two of a turn": (lambda: tg.rot90(V, dims=(0, 1)), "here it is axes=$"),
    "conv2d has a bias": (lambda: tg.conv2d(V, V, bias=V), "here it is b=$"),
    "Dense always has one": (lambda: nn.Dense(3, bias=True), "b is always there"),
    "a network has no optimiser": (
        lambda: nn.Network(2, nn.Dense(1), optimizer=nn.Adam()), r"optimiser= of net\.fit"),
    "a network has no rate": (lambda: nn.Network(2, nn.Dense(1), lr=0.1), r"of net\.fit"),
    "momentum of Momentum": (lambda: nn.Momentum(0.1, momentum=0.9), "here it is beta=$"),
    "momentum of descent": (lambda: nn.GradientDescent(0.1, momentum=0.9), r"nn\.Momentum"),
    "momentum of Adam": (lambda: nn.Adam(momentum=0.9), "momentum=$"),
    "a slope": (lambda: tg.leaky_relu(V, negative_slope=0.1), "here it is slope=$"),
    "a window": (lambda: tg.max_pool2d(V, kernel_size=2), "here it is size=$"),
    "a mask over what comes": (lambda: tg.attention(V, V, V, is_causal=True), "is causal=$"),
    "classes": (lambda: tg.one_hot([1], num_classes=3), "here it is classes=$"),
    "shapes of a layer": (lambda: nn.LayerNorm(normalized_shape=3), "^LayerNorm: .*knows how many"),
    "what comes beside": (lambda: tg.grad(abs, has_aux=True), "a list around the function"),
}  # fmt: skip


@pytest.mark.parametrize("what", FALSE_ELSEWHERE)
def test_a_keyword_is_answered_as_is_true_of_the_function_asked(what):
    call, said = FALSE_ELSEWHERE[what]
    with pytest.raises(TypeError, match=said):
        call()


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: nn.Dense(1, "ReLU"), "did you mean 'relu'"),
        (lambda: nn.Dense(1, "Swish"), r"tg\.silu"),
        (lambda: nn.Network(2, nn.Dense(1), loss="MSE"), "here it is 'mean_squared_error'"),
        (lambda: nn.Network(2, nn.Dense(1), loss="CrossEntropy"), "did you mean 'cross_entropy'"),
    ],
)
def test_an_activation_and_a_loss_of_elsewhere_are_answered(call, said):
    with pytest.raises(tg.GradError, match=said):
        call()


@pytest.mark.parametrize("method", ["outer", "accumulate", "reduceat"])
def test_a_method_of_a_ufunc_without_a_rule_is_called_as_it_was_written(method):
    with pytest.raises(TypeError, match=rf"np\.add\.{method} has no rule"):
        getattr(np.add, method)(V, *([V] if method == "outer" else [[0]] * (method == "reduceat")))


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: tg.sum(V, dim=0), "axis="),
        (lambda: V.mean(dim=0), "axis="),
        (lambda: tg.softmax(V, dim=0), "axis="),
        (lambda: tg.Value(1.0, label="a"), "name="),
        (lambda: tg.Value(1.0, dtype=float), "np.float32"),
        (lambda: V.sum().backward(retain_graph=True), "swept again"),
        (lambda: V.backward(gradient=1.0), "seed="),
        (lambda: nn.Dense(3, bias=False), "always there"),
        (lambda: nn.Dropout(p=0.5), "rate="),
        (lambda: NET.fit(np.zeros((2, 3)), np.zeros((1, 3)), verbose=0), "progress="),
    ],
)
def test_a_keyword_of_elsewhere_is_answered(call, said):
    with pytest.raises(TypeError, match=said):
        call()


def test_a_history_says_what_it_has_instead():
    with pytest.raises(KeyError, match="'cost' here"):
        HISTORY["loss"]
    with pytest.raises(KeyError, match=r"there are .*accuracy"):
        HISTORY["precision"]


def test_back_propagation_by_hand_through_a_net_of_names():
    """As in the exercise for makemore: embedding, batch norm in steps, cross-entropy in steps."""
    words = ["lena", "moritz", "ada", "yusuf", "kiran", "noor"]
    letters = sorted({letter for word in words for letter in word})
    place = {letter: i + 1 for i, letter in enumerate(letters)}
    rows, followers = [], []
    for word in words:
        before = [0, 0, 0]
        for letter in [*word, None]:
            rows.append(before)
            followers.append(place[letter] if letter else 0)
            before = [*before[1:], followers[-1]]
    Xb, Yb = np.array(rows), np.array(followers)
    n, n_letters, n_emb, n_hidden = len(Xb), len(letters) + 1, 4, 7

    rng = np.random.default_rng(0)
    C = tg.Value(rng.normal(size=(n_letters, n_emb)))
    W1 = tg.Value(rng.normal(size=(3 * n_emb, n_hidden)) * 0.3)
    b1 = tg.Value(rng.normal(size=n_hidden) * 0.1)
    W2 = tg.Value(rng.normal(size=(n_hidden, n_letters)) * 0.1)
    b2 = tg.Value(rng.normal(size=n_letters) * 0.1)
    bngain = tg.Value(1 + rng.normal(size=(1, n_hidden)) * 0.1)
    bnbias = tg.Value(rng.normal(size=(1, n_hidden)) * 0.1)

    emb = C[Xb]
    embcat = emb.reshape(emb.shape[0], -1)
    hprebn = embcat @ W1 + b1
    bnmean = 1 / n * hprebn.sum(0, keepdims=True)
    bndiff = hprebn - bnmean
    bndiff2 = bndiff**2
    bnvar = 1 / (n - 1) * bndiff2.sum(0, keepdims=True)
    bnvar_inv = (bnvar + 1e-5) ** -0.5
    bnraw = bndiff * bnvar_inv
    hpreact = bngain * bnraw + bnbias
    h = tg.tanh(hpreact)
    logits = h @ W2 + b2
    logit_maxes = logits.max(1, keepdims=True)
    norm_logits = logits - logit_maxes
    counts = norm_logits.exp()
    counts_sum = counts.sum(1, keepdims=True)
    counts_sum_inv = counts_sum**-1
    probs = counts * counts_sum_inv
    logprobs = probs.log()
    loss = -logprobs[range(n), Yb].mean()
    loss.backward()

    dlogprobs = np.zeros((n, n_letters))
    dlogprobs[range(n), Yb] = -1 / n
    dprobs = dlogprobs / probs.data
    dcounts_sum_inv = (dprobs * counts.data).sum(1, keepdims=True)
    dcounts_sum = -(counts_sum.data**-2.0) * dcounts_sum_inv
    dcounts = dprobs * counts_sum_inv.data + dcounts_sum
    dnorm_logits = dcounts * counts.data
    dlogit_maxes = -dnorm_logits.sum(1, keepdims=True)
    dlogits = dnorm_logits + np.eye(n_letters)[logits.data.argmax(1)] * dlogit_maxes
    dh = dlogits @ W2.data.T
    dW2, db2 = h.data.T @ dlogits, dlogits.sum(0)
    dhpreact = (1 - h.data**2) * dh
    dbngain = (bnraw.data * dhpreact).sum(0, keepdims=True)
    dbnbias = dhpreact.sum(0, keepdims=True)
    dbnraw = bngain.data * dhpreact
    dbnvar_inv = (bndiff.data * dbnraw).sum(0, keepdims=True)
    dbnvar = -0.5 * (bnvar.data + 1e-5) ** -1.5 * dbnvar_inv
    dbndiff2 = 1 / (n - 1) * np.ones((n, n_hidden)) * dbnvar
    dbndiff = bnvar_inv.data * dbnraw + 2 * bndiff.data * dbndiff2
    dbnmean = -dbndiff.sum(0, keepdims=True)
    dhprebn = dbndiff + 1 / n * dbnmean
    dembcat = dhprebn @ W1.data.T
    dW1, db1 = embcat.data.T @ dhprebn, dhprebn.sum(0)
    demb = dembcat.reshape(emb.shape)
    dC = np.zeros(C.shape)
    np.add.at(dC, Xb, demb)

    here = locals()
    by_hand = {name: x for name, x in here.items() if isinstance(here.get(f"d{name}"), np.ndarray)}
    assert len(by_hand) == 26
    for name, quantity in by_hand.items():
        assert here[f"d{name}"] == pytest.approx(quantity.grad, rel=1e-9, abs=1e-12), name

    # In one step each: cross-entropy, and batch norm.
    dlogits_at_once = (probs.data - np.eye(n_letters)[Yb]) / n
    assert dlogits_at_once == pytest.approx(logits.grad, abs=1e-12)
    z, dz = bnraw.data, dhpreact
    dhprebn_at_once = bngain.data * bnvar_inv.data / n * (
        n * dz - dz.sum(0) - n / (n - 1) * z * (dz * z).sum(0)
    )  # fmt: skip
    assert dhprebn_at_once == pytest.approx(hprebn.grad, abs=1e-12)
