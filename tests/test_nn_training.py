"""The loop: the same run for the same seed, whatever interrupts it."""

import dataclasses
import itertools
import math
import os
import signal
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn.examples import Examples
from tinygrad_edu.nn.run import Run
from tinygrad_edu.nn.training import shuffled
from tinygrad_edu.program import Step

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 23))
Y = np.argmax(X[:2] + 0.3 * RNG.standard_normal((2, 23)), axis=0)
VALIDATION = X[:, :6] + 0.1, Y[:6]


def a_net(**options):
    """Everything that remembers or draws: normalisation, dropout."""
    return nn.Network(
        3, nn.Dense(5), nn.BatchNorm("tanh"), nn.Dropout(0.2), nn.Dense(2, "softmax"), **options
    )


def run(net, **options):
    given = {"epochs": 4, "batch_size": 5, "optimiser": nn.Adam(0.05), "validation": VALIDATION}
    return nn.fit(net, X, Y, **{**given, **options})


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_the_same_seed_gives_the_same_run_to_the_bit_and_another_does_not():
    nets = [a_net(), a_net(), a_net()]
    histories = [run(net, seed=seed) for net, seed in zip(nets, (1, 1, 2))]
    assert same(nets[0].state(), nets[1].state())
    assert histories[0] == histories[1]
    assert not same(nets[0].state(), nets[2].state())


def test_every_epoch_sees_every_example_once_in_a_new_order():
    net = nn.Network(3, nn.Dense(2, "softmax"))
    batches, n = shuffled(net, X, Y, batch_size=5, seed=3)
    assert n == 5
    orders = []
    for epoch in (0, 1):
        parts = list(batches(epoch))
        assert [x.shape[1] for x, _ in parts] == [5, 5, 5, 5, 3]
        x, y = np.hstack([x for x, _ in parts]), np.hstack([y for _, y in parts])
        order = [int(np.flatnonzero((X == column[:, None]).all(axis=0))[0]) for column in x.T]
        assert sorted(order) == list(range(23))
        assert np.array_equal(Y[order], y)
        orders.append(order)
    assert orders[0] != orders[1]


def test_a_step_is_the_lectures_update():
    net = nn.Network(3, nn.Dense(1, "sigmoid"), seed=2)
    W, b = np.array(net.parameters["W1"].data), np.array(net.parameters["b1"].data)
    net.fit(X, Y, epochs=1, batch_size=None, optimiser=nn.GradientDescent(0.7))
    dZ = 1 / (1 + np.exp(-(W @ X + b))) - Y
    np.testing.assert_allclose(net.parameters["W1"].data, W - 0.7 * dZ @ X.T / 23)
    np.testing.assert_allclose(net.parameters["b1"].data, b - 0.7 * dZ.mean(keepdims=True))


def test_the_history_is_what_was_measured():
    net = nn.Network(3, nn.Dense(2, "softmax"), seed=2)
    J, right = net.cost(X, Y).item(), net.accuracy(X, Y)
    history = net.fit(X, Y, epochs=3, batch_size=None, validation=VALIDATION)
    assert history["cost"][0] == pytest.approx(J)
    assert history["accuracy"][0] == right
    assert history["validation_cost"][-1] == net.cost(*VALIDATION).item()
    assert history["validation_accuracy"][-1] == net.accuracy(*VALIDATION)
    assert {key: len(numbers) for key, numbers in history.items()} == dict.fromkeys(history, 3)
    # With batches of 5, 5, 5, 5 and 3 the cost of an epoch weighs examples, not batches.
    steps = np.array(run(nn.Network(3, nn.Dense(2, "softmax")), epochs=1)["step_cost"])
    net = nn.Network(3, nn.Dense(2, "softmax"))
    assert run(net, epochs=1)["cost"][0] == pytest.approx(steps @ [5, 5, 5, 5, 3] / 23)


def test_training_stops_where_the_cost_no_longer_changes():
    net = nn.Network(3, nn.Dense(1, "sigmoid"), l2=0.1)
    descent = nn.GradientDescent(0.5)
    costs = net.fit(X, Y, epochs=5000, batch_size=None, optimiser=descent, tolerance=1e-9)["cost"]
    assert len(costs) < 5000
    assert abs(costs[-1] - costs[-2]) < 1e-9
    assert all(abs(a - b) >= 1e-9 for a, b in itertools.pairwise(costs[:-1]))
    net.cost(X, Y).backward()
    assert nn.norm_of({name: p.grad for name, p in net.parameters.items()}) < 1e-3


def test_early_stopping_returns_to_the_best_epoch():
    net = nn.Network(3, nn.Dense(20, "tanh"), nn.Dense(2, "softmax"))
    noise = np.random.default_rng(1).integers(2, size=6)
    held_out = (X[:, :6] + 1, noise)  # labels that cannot be learnt: fitting makes it worse
    costs = run(net, epochs=200, validation=held_out, patience=3)["validation_cost"]
    best = int(np.argmin(costs))
    assert len(costs) == best + 1 + 3 < 200
    assert net.cost(*held_out).item() == costs[best]


def test_a_callback_sees_every_step_and_can_stop():
    seen = []

    def watch(run):
        seen.append((run.position.step, run.epoch_ended))
        run.stop = run.position.step == 7

    history = run(a_net(), callbacks=[watch])
    assert len(history["step_cost"]) == 7
    assert len(history["cost"]) == 1
    assert seen == [(s, False) for s in range(1, 6)] + [(5, True), (6, False), (7, False)]


# --- interrupted and resumed ----------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 3, 5, 6, 17, 20])
@pytest.mark.one_in(3)
def test_an_interrupted_run_resumed_is_the_same_run_to_the_bit(tmp_path, at):
    whole = a_net()
    history = run(whole)
    path = tmp_path / "run.npz"

    def ctrl_c(run):
        if run.position.step == at:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(a_net(), checkpoint=path, callbacks=[ctrl_c])
    again = a_net(seed=0)
    again.restore({name: np.full_like(a, 9.0) for name, a in again.state().items()})
    assert run(again, checkpoint=path, resume=True) == history
    assert same(again.state(), whole.state())
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_a_finished_run_can_go_on_for_more_epochs(tmp_path):
    path = tmp_path / "run.npz"
    long, parts = a_net(), a_net()
    history = run(long, epochs=6)
    run(parts, epochs=2, checkpoint=path)
    assert run(a_net(), epochs=2, checkpoint=path, resume=True)["cost"] == history["cost"][:2]
    assert run(parts, epochs=6, checkpoint=path, resume=True) == history
    assert same(long.state(), parts.state())


def a_plain_net():
    return nn.Network(3, nn.Dense(5, "tanh"), nn.Dropout(0.2), nn.Dense(2, "softmax"))


@pytest.mark.parametrize(
    "make, watched", [(a_net, True), (a_plain_net, True), (a_plain_net, False)]
)
@pytest.mark.slow
def test_wherever_ctrl_c_strikes_a_step_has_happened_whole_or_not_at_all(make, watched):
    """Interrupt a step wherever it enters or leaves a function of this package: a step by a graph,
    one by a program, and one whose numbers are shown only when the epoch is over."""
    examples = Examples(make(), X[:, :7], Y[:7])

    def step(training, x, y):
        if watched:
            training.step(x, y)
        else:
            training.step_on(Examples(training.net, x, y), None)

    def fresh():
        training = Run(make(), nn.Adam(0.05), clip=1.0, validation=VALIDATION)
        for _ in range(2):  # the second has memory that has been used before
            training.step_on(examples, None)
        training.step(X[:, :8], Y[:8])
        return training

    def all_of(training):
        history = {f"history {key}": np.array(v) for key, v in training.history.items()}
        memory = {f"memory {key}": np.array(v) for key, v in training.position.memory.items()}
        return training.net.state() | history | memory | {"step": training.position.step}

    def act(training):
        try:
            step(training, X[:, 7:15], Y[7:15])
            training.end_epoch()
        finally:
            training.show()

    before = all_of(fresh())
    training = fresh()
    step(training, X[:, 7:15], Y[7:15])
    training.show()
    stepped = all_of(training)
    training.end_epoch()
    ended = all_of(training)

    def interrupted_at(place):
        """The state after an interrupt at the n-th place; None when there are fewer."""
        training, countdown = fresh(), place

        def trace(frame, event, arg):
            nonlocal countdown
            if "tinygrad_edu" not in frame.f_code.co_filename:
                return None
            # Python looks for signals where functions are entered and left. That nothing makes the
            # ends of a `with` themselves uninterruptible is a limit of the language. (A generator
            # that a trace function interrupts as it goes on does not even run its `finally`.)
            ends = ("__enter__", "__exit__", "_switched")
            if event != "line" and frame.f_code.co_name not in ends:
                countdown -= 1
                if countdown == 0:
                    raise KeyboardInterrupt
            return trace

        tracer = sys.gettrace()  # of whoever measures coverage
        sys.settrace(trace)
        try:
            act(training)
            return None
        except KeyboardInterrupt:
            return all_of(training)
        finally:
            sys.settrace(tracer)

    seen = {"before": 0, "stepped": 0, "ended": 0}
    place = 1
    while (state := interrupted_at(place)) is not None:
        matches = [
            name
            for name, s in (("before", before), ("stepped", stepped), ("ended", ended))
            if same(state, s)
        ]
        assert matches, f"a step interrupted at place {place} left half of itself behind"
        seen[matches[0]] += 1
        place += 3
    assert seen["before"] > 20
    assert seen["stepped"] > 5


def test_an_error_within_a_step_leaves_everything_as_it_was():
    net = a_net()
    training = Run(net, nn.Adam(0.05))
    before = net.state()
    with pytest.raises(tg.GradError):
        training.step(X[:, :4], Y[:3])
    assert same(net.state(), before)
    assert training.history == {}
    assert training.position.step == 0


def test_a_run_that_is_killed_goes_on_from_the_last_step_saved(tmp_path):
    path, whole, again = tmp_path / "run.npz", a_net(), a_net()
    history = run(whole)

    class Killed(Exception):
        pass

    def die(run):
        if run.position.step == 13:
            raise Killed

    with pytest.raises(Killed):
        run(a_net(), checkpoint=path, save_every=4, callbacks=[die])
    assert "12" in str(np.load(path)["run"])
    assert run(again, checkpoint=path, resume=True) == history
    assert same(whole.state(), again.state())


def test_a_checkpoint_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    net = a_net()
    net.save(path)
    old = path.read_bytes()
    monkeypatch.setattr(np, "savez", lambda file, **_: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        net.save(path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    run(a_net(), checkpoint=path)
    for options, what in (
        ({"seed": 9}, "seed"), ({"optimiser": nn.Momentum(0.1)}, "optimiser"),
        ({"batch_size": 6}, "data"), ({"clip": 1.0}, "clip"),
    ):  # fmt: skip
        net = a_net()
        before = net.state()
        with pytest.raises(tg.GradError, match=f"another run: its {what}"):
            run(net, checkpoint=path, resume=True, **options)
        assert same(net.state(), before)
    with pytest.raises(tg.GradError, match="its net"):
        run(nn.Network(3, nn.Dense(2, "softmax")), checkpoint=path, resume=True)
    with pytest.raises(tg.GradError, match="resume=True needs checkpoint="):
        run(a_net(), resume=True)


def test_files_that_are_something_else_are_refused(tmp_path):
    net = a_net()
    path = tmp_path / "a.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(tg.GradError, match=r"no file of named arrays"):
        net.load(path)
    np.savez(path, W1=np.array([{"run": "me"}], dtype=object))  # would need pickle
    with pytest.raises(tg.GradError, match=r"no file of named arrays"):
        net.load(path)
    np.savez(path, W1=np.zeros(2))
    with pytest.raises(tg.GradError, match="only in the network"):
        net.load(path)
    with pytest.raises(tg.GradError, match="no checkpoint"):
        run(net, checkpoint=path, resume=True)
    with pytest.raises(FileNotFoundError):
        net.load(tmp_path / "missing.npz")


def test_saved_numbers_come_back_to_the_bit(tmp_path):
    net, other = a_net(seed=1), a_net(seed=2)
    run(net)
    net.save(tmp_path / "net.npz")
    other.load(tmp_path / "net.npz")
    assert same(net.state(), other.state())
    assert np.array_equal(net.predict(X), other.predict(X))


# --- streams, the bar, mistakes -------------------------------------------------------------------


def test_a_stream_of_batches_trains_as_the_arrays_do(tmp_path):
    one, other = a_net(), a_net()
    stream, _ = shuffled(one, X, Y, batch_size=5, seed=0)
    history = run(one)
    given = {"epochs": 4, "optimiser": nn.Adam(0.05), "validation": VALIDATION}
    assert nn.fit(other, stream, **given) == history
    assert same(one.state(), other.state())


def test_the_bar_shows_epochs_cost_and_accuracy(capsys):
    run(a_net(), progress=True)
    shown = capsys.readouterr().err
    assert "4/4" in shown
    assert "accuracy 0." in shown
    assert "cost 0." in shown


def test_history_is_drawn_as_a_picture(tmp_path):
    history = run(a_net())
    history.plot(tmp_path / "curves.svg", title="cost < 1")
    picture = (tmp_path / "curves.svg").read_text()
    assert "validation cost" in picture
    assert "cost &lt; 1" in picture
    assert all(math.isfinite(x) for x in history.arrays()["cost"])


def test_a_cost_that_explodes_is_told_and_the_step_undone():
    net = nn.Network(3, nn.Dense(2))
    target = np.zeros((2, 23))
    with np.errstate(over="ignore", invalid="ignore"):
        with pytest.raises(tg.GradError, match=r"the cost is (inf|nan) at step \d+.*smaller"):
            net.fit(X, target, batch_size=None, epochs=999, optimiser=nn.GradientDescent(1e9))
    assert all(np.isfinite(p.data).all() for p in net.parameters.values())


def test_a_run_stopped_by_a_callback_goes_on_from_there(tmp_path):
    path, whole, again = tmp_path / "run.npz", a_net(), a_net()
    history = run(whole)
    run(a_net(), checkpoint=path, callbacks=[lambda r: setattr(r, "stop", r.position.step == 8)])
    assert run(again, checkpoint=path, resume=True) == history
    assert same(whole.state(), again.state())


def test_mistakes_are_told():
    net = nn.Network(3, nn.Dense(2, "softmax"))
    with pytest.raises(tg.GradError, match=r"X of shape \(3, 23\) holds 23 examples"):
        net.fit(X, Y[:5])
    with pytest.raises(tg.GradError, match="patience needs validation"):
        net.fit(X, Y, patience=3)
    with pytest.raises(tg.GradError, match="batch_size"):
        net.fit(X, Y, batch_size=0)
    with pytest.raises(tg.GradError, match="no examples"):
        net.fit(lambda epoch: [], epochs=1)


# --- compiled programs ----------------------------------------------------------------------------


def train(net, x, y, graphs=False, **options):
    """A few epochs by programs, or by graphs alone; the run and what each step's gradients were."""
    kinds, steps = [], []

    def watch(run):
        kinds[:] = run.programs.kinds
        if not run.epoch_ended:
            steps.append({name: np.array(g) for name, g in run.gradients.items()})
            for name, p in run.net.parameters.items():
                if run.clip is None and name in run.gradients:
                    assert p.grad is run.gradients[name]

    given = {"epochs": 3, "batch_size": 7, "optimiser": nn.GradientDescent(0.05), **options}
    given["callbacks"] = [*given.get("callbacks", ()), watch]
    with pytest.MonkeyPatch.context() as patch:
        if graphs:
            patch.setattr("tinygrad_edu.nn.recorded.Programs.compiled", lambda *_: None)
        history = nn.fit(net, x, y, **given)
    return history, steps, kinds


def assert_programs_change_nothing(make, x, y, programs, **options):
    """The same history and gradients by programs and by graphs; and how many programs there are."""
    net, other = make(), make()
    history, steps, kinds = train(net, x, y, **options)
    expected, slow, none = train(other, x, y, graphs=True, **options)
    assert len(kinds) == programs
    assert none == []
    assert history.keys() == expected.keys()
    for key, numbers in expected.items():
        assert np.allclose(history[key], numbers, rtol=1e-9, atol=0), key
    assert len(steps) == len(slow)
    for one, two in zip(steps, slow, strict=True):
        assert list(one) == list(two)
        for name, g in two.items():
            assert one[name].dtype == g.dtype
            assert np.abs(one[name] - g).max() <= 1e-9 * max(np.abs(g).max(), 1e-3), name
    for name, a in other.state().items():
        assert net.state()[name].dtype == a.dtype
        assert np.allclose(net.state()[name], a, rtol=1e-8, atol=1e-10), name


COLUMNS = np.eye(2)[:, Y]
FIXED_NETWORKS = {
    "softmax": lambda: nn.Network(3, nn.Dense(5, "tanh"), nn.Dense(2, "softmax")),
    "sigmoid": lambda: nn.Network(3, nn.Dense(5, "relu"), nn.Dense(2, "sigmoid")),
    "squares": lambda: nn.Network(3, nn.Dense(5, "softplus"), nn.Dense(2, "leaky_relu")),
    "linear": lambda: nn.Network(3, nn.Dense(2, "linear")),
    "decay": lambda: nn.Network(3, nn.Dense(5, "sigmoid"), nn.Dense(2, "softmax"), l2=0.1),
    "norm": lambda: nn.Network(3, nn.Dense(5), nn.LayerNorm("tanh"), nn.Dense(2, "softmax")),
    "dropout": lambda: nn.Network(
        3, nn.Dropout(0.1), nn.Dropout(0.2), nn.Dense(9, "relu"), nn.Dropout(0.4),
        nn.Dense(2, "softmax"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("make", FIXED_NETWORKS.values(), ids=FIXED_NETWORKS)
def test_programs_train_as_graphs_do(make, rows):
    """23 examples in batches of 7: the last of an epoch has 2, and a program of its own."""

    def turned():
        net = make()
        if rows:
            fresh = make()
            for layer in fresh.layers:
                layer.built, layer.parameters, layer.weights = False, {}, []
            net = nn.Network(3, *fresh.layers, rows=True, l2=fresh.l2)
        return net

    x, y = (X.T, COLUMNS.T) if rows else (X, COLUMNS)
    assert_programs_change_nothing(turned, x, y, programs=2)


@pytest.mark.parametrize("optimiser", [nn.Momentum(0.05), nn.RMSProp(0.01), nn.Adam(0.01)])
def test_every_optimiser_is_given_the_same_gradients(optimiser):
    make = FIXED_NETWORKS["softmax"]
    given = {"optimiser": optimiser, "clip": 0.3, "validation": VALIDATION}
    assert_programs_change_nothing(make, X, Y, programs=2, **given)


def test_sequences_are_compiled_for_each_length():
    sequences = RNG.standard_normal((4, 3, 23))

    def make():
        return nn.Network(3, nn.Recurrent(4), nn.Dense(2, "softmax"))

    assert_programs_change_nothing(make, sequences, Y, programs=2)
    assert_programs_change_nothing(make, sequences[:1], Y, programs=2)  # Wa gets no gradient


@pytest.mark.parametrize("integers", [False, True])
def test_float32_and_integers_train_as_by_graphs(integers):
    x = np.round(3 * X).astype(int) if integers else X.astype(np.float32)

    def make():
        net = nn.Network(3, nn.Dense(5, "tanh"), nn.Dense(1, "sigmoid"))
        if not integers:
            for layer in net.layers:
                for name, p in layer.parameters.items():
                    layer.parameters[name] = tg.Value(np.float32(p.data), name)
        return net

    if integers:
        assert_programs_change_nothing(make, x, Y, programs=2)
    else:
        history, steps, kinds = train(make(), x, Y.astype(np.float32))
        expected, slow, _ = train(make(), x, Y.astype(np.float32), graphs=True)
        assert len(kinds) == 2
        assert np.allclose(history["cost"], expected["cost"], rtol=1e-5)
        assert [g.dtype for g in steps[-1].values()] == [g.dtype for g in slow[-1].values()]


def test_frozen_parameters_stay_and_may_thaw():
    def thaw(run):
        run.net.parameters["W1"].requires_grad = run.position.epoch > 0

    def make():
        net = FIXED_NETWORKS["softmax"]()
        net.parameters["W1"].requires_grad = False
        return net

    net = make()
    start = net.parameters["W1"].data.copy()
    train(net, X, Y)
    assert np.array_equal(net.parameters["W1"].data, start)
    assert_programs_change_nothing(make, X, Y, programs=2)
    assert_programs_change_nothing(make, X, Y, programs=4, callbacks=[thaw])


def test_settings_changed_on_the_way_are_heeded():
    def change(run):
        run.net.l2 = 0.1 * run.position.epoch
        run.net.layers[0].activation = "tanh" if run.position.step < 5 else "relu"

    make = FIXED_NETWORKS["softmax"]
    assert_programs_change_nothing(make, X, Y, programs=7, callbacks=[change])


def test_only_so_many_kinds_of_graph_are_compiled():
    def stream(epoch):
        return [(X[:, :n], Y[:n]) for n in range(2, 14)]

    make = FIXED_NETWORKS["softmax"]
    assert_programs_change_nothing(make, stream, None, programs=8)


class Moody(nn.Dense):
    """A layer of one's own that looks at the numbers."""

    def before_activation(self, A, rng):
        Z = super().before_activation(A, rng)
        return Z * 2.0 if np.asarray(A.data).sum() > 0 else Z


class Looking(nn.Network):
    """A network of one's own that looks at the numbers."""

    def before_output(self, X, rng=None):
        Z = super().before_output(X, rng)
        return Z * 3.0 if np.asarray(Z.data).max() > 1 else Z


def a_loss(A, target, axis):
    error = A - target
    return tg.mean(error * error if np.abs(error.data).max() > 0.8 else tg.abs(error), axis=axis)


def patched():
    net = FIXED_NETWORKS["softmax"]()
    layer = net.layers[0]
    plain = layer.activate
    layer.activate = lambda Z: plain(Z) if Z.data.sum() > 0 else Z
    return net


def tied():
    net = nn.Network(3, nn.Dense(3, "tanh"), nn.Dense(3, "tanh"), nn.Dense(2, "softmax"))
    net.layers[1].parameters["W2"] = net.layers[0].parameters["W1"]
    return net


@pytest.mark.parametrize(
    "make",
    [
        a_net, patched, tied,
        lambda: nn.Network(3, Moody(4, "tanh"), nn.Dense(2, "softmax")),
        lambda: Looking(3, nn.Dense(4, "tanh"), nn.Dense(2, "softmax")),
        lambda: nn.Network(3, nn.Dense(4, "tanh"), nn.Dense(2), loss=a_loss),
    ],
    ids=["batch norm", "patched", "tied", "layer", "network", "loss"],
)  # fmt: skip
def test_what_may_record_another_graph_is_recorded_at_every_step(make):
    assert_programs_change_nothing(make, X, COLUMNS, programs=0)


def test_an_activation_of_ones_own_is_recorded_at_every_step(monkeypatch):
    from tinygrad_edu.nn.layers import ACTIVATIONS

    moody = lambda z, axis: z if z.data.sum() > 0 else tg.tanh(z)  # noqa: E731
    monkeypatch.setitem(ACTIVATIONS, "tanh", moody)
    assert_programs_change_nothing(FIXED_NETWORKS["softmax"], X, Y, programs=0)


def test_values_as_data_are_recorded_at_every_step():
    scale = tg.Value(2.0, "scale")

    def stream(epoch):
        return [(tg.Value(X, "X") * scale, Y)]

    assert_programs_change_nothing(FIXED_NETWORKS["softmax"], stream, None, programs=0)


def test_where_a_program_overflows_the_graph_speaks():
    """The same warning and the same error as without programs."""
    told = []
    for graphs in (False, True):
        net = nn.Network(3, nn.Dense(4), nn.Dense(2))
        with (
            pytest.warns(RuntimeWarning) as warned,
            pytest.raises(tg.GradError, match="smaller learning rate") as error,
        ):
            train(net, X, COLUMNS, graphs, optimiser=nn.GradientDescent(1e120))
        told.append(({str(w.message) for w in warned}, str(error.value), net.state()))
    assert told[0][:2] == told[1][:2]
    assert all(np.allclose(told[0][2][k], told[1][2][k], rtol=1e-9) for k in told[0][2])


def test_debug_nans_looks_at_graphs():
    net = FIXED_NETWORKS["softmax"]()
    training = Run(net, nn.Adam(0.05))
    training.step(X, Y)
    assert len(training.programs.kinds) == 1
    net.parameters["W1"].data = np.full((5, 3), np.nan)
    with tg.debug_nans(), pytest.raises(tg.GradError, match="nan"):
        training.step(X, Y)


@pytest.mark.parametrize("at", [1, 3, 9])
def test_a_resumed_run_has_the_same_programs_to_the_bit(tmp_path, at):
    """Batches of many sizes: the first eight are compiled, wherever the run was interrupted."""

    def stream(epoch):
        return [(X[:, :n], Y[:n]) for n in range(2 + 5 * epoch, 9 + 5 * epoch)]

    def ctrl_c(run):
        if run.position.step == at:
            raise KeyboardInterrupt

    make, path = FIXED_NETWORKS["dropout"], tmp_path / "run.npz"
    given = {"epochs": 3, "optimiser": nn.Adam(0.05)}
    whole, again = make(), make()
    history = nn.fit(whole, stream, **given)
    with pytest.raises(KeyboardInterrupt):
        nn.fit(make(), stream, checkpoint=path, callbacks=[ctrl_c], **given)
    assert nn.fit(again, stream, checkpoint=path, resume=True, **given) == history
    assert same(again.state(), whole.state())


def test_gradients_that_a_callback_keeps_stay_as_they_are():
    kept, copies = [], []

    def keep(run):
        if not run.epoch_ended:
            kept.append(run.gradients["W1"])
            copies.append(run.gradients["W1"].copy())

    nn.fit(FIXED_NETWORKS["softmax"](), X, Y, epochs=5, callbacks=[keep])
    assert len(kept) == 5
    assert all(np.array_equal(a, b) for a, b in zip(kept, copies, strict=True))
    assert not np.array_equal(kept[0], kept[1])


# --- steps by a program, whose numbers are shown when somebody may look ---------------------------


OPTIMISERS = [nn.GradientDescent(0.1), nn.Momentum(0.05), nn.RMSProp(0.01), nn.Adam(0.02)]


@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=repr)
def test_whether_somebody_looks_changes_no_bit(optimiser, clip):
    given = {"optimiser": optimiser, "clip": clip, "batch_size": 7, "epochs": 3}
    nets = [FIXED_NETWORKS["dropout"]() for _ in range(2)]
    quiet = nets[0].fit(X, Y, **given)
    watched = nets[1].fit(X, Y, callbacks=[lambda run: None], **given)
    assert quiet == watched
    assert same(nets[0].state(), nets[1].state())
    for name, p in nets[0].parameters.items():
        assert np.array_equal(p.grad, nets[1].parameters[name].grad)


@pytest.mark.parametrize("at", [1, 2, 4, 5, 9])
@pytest.mark.parametrize("after", [False, True])
def test_a_run_interrupted_while_nobody_looks_is_the_same_run_to_the_bit(
    tmp_path, monkeypatch, at, after
):
    """Ctrl-C before a step's program, and right after it."""
    make, path = FIXED_NETWORKS["dropout"], tmp_path / "run.npz"
    given = {"optimiser": nn.Adam(0.05), "batch_size": 7, "epochs": 3, "checkpoint": path}
    whole, interrupted, again = make(), make(), make()
    history = whole.fit(X, Y, **{**given, "checkpoint": None})
    plain = Step.run

    def run(self, now, new, g, t, rate, numbers):
        if t == at and not after:
            raise KeyboardInterrupt
        found = plain(self, now, new, g, t, rate, numbers)
        if t == at:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Step, "run", run)
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(X, Y, **given)
    saved = np.load(path)
    assert f'"step": {at - 1},' in str(saved["run"])
    for name, a in interrupted.state().items():
        assert np.array_equal(saved[f"net/{name}"], a)
    assert again.fit(X, Y, resume=True, **given) == history
    assert same(again.state(), whole.state())


def test_numbers_that_a_callback_keeps_stay_as_they_are():
    kept, copies = [], []

    def keep(run):
        named = {name: p.data for name, p in run.net.parameters.items()}
        kept.append({**named, **run.position.memory, **run.gradients})
        copies.append({name: np.copy(a) for name, a in kept[-1].items()})

    make = FIXED_NETWORKS["softmax"]
    for optimiser in OPTIMISERS:
        kept.clear(), copies.clear()
        make().fit(X, Y, batch_size=7, epochs=3, optimiser=optimiser, callbacks=[keep])
        assert len(kept) == 3 * 5
        assert all(same(a, b) for a, b in zip(kept, copies, strict=True))
        assert not np.array_equal(kept[0]["W1"], kept[1]["W1"])


def test_a_graph_recorded_by_a_callback_keeps_its_numbers():
    costs = []

    def record(run):
        costs.append((run.net.cost(X, Y), run.net.cost(X, Y).item()))

    FIXED_NETWORKS["softmax"]().fit(X, Y, batch_size=7, epochs=2, callbacks=[record])
    for J, number in costs:
        J.backward()
        assert J.item() == number
    W1 = [next(v for v in tg.core.sweep.reachable(J) if v.name == "W1") for J, _ in costs]
    assert len({id(v) for v in W1}) == 1


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=repr)
def test_numbers_that_a_callback_gives_are_heeded(optimiser):
    def shrink(run):
        if run.position.step == 4:
            W = run.net.parameters["W1"]
            W.data = W.data * 0.5
        if run.position.step == 6:
            run.net.parameters["b1"].data += 0.25
        if run.position.step == 8:
            run.net.restore(run.net.state() | {"W2": np.full((2, 5), 0.1)})

    make = FIXED_NETWORKS["softmax"]
    given = {"optimiser": optimiser, "callbacks": [shrink]}
    assert_programs_change_nothing(make, X, Y, programs=2, **given)


def test_a_schedule_of_ones_own_sees_the_parameters_of_its_step():
    def trained(graphs):
        net = FIXED_NETWORKS["softmax"]()
        seen = []

        def rate(t):
            seen.append(float(np.abs(net.parameters["W1"].data).max()))
            return 0.1 / (1 + seen[-1])

        train(net, X, Y, graphs, optimiser=nn.GradientDescent(rate))
        return seen

    found, expected = trained(False), trained(True)
    assert len(set(found)) == len(expected) // 4  # four parameters, or one vector
    np.testing.assert_allclose(found, expected[::4], rtol=1e-9)


@dataclasses.dataclass(frozen=True)
class Normed(nn.Optimiser):
    """An optimiser of one's own that looks at a whole parameter, with NumPy."""

    def update(self, t, lr, p, g, *kept):
        return (p - lr * g / (1e-3 + np.linalg.norm(g)),)


def test_an_optimiser_of_ones_own_is_called_as_it_is():
    make = FIXED_NETWORKS["softmax"]
    assert_programs_change_nothing(make, X, Y, programs=2, optimiser=Normed(0.05))


def test_two_runs_of_the_same_net_share_no_memory():
    """The second finds the program of the first; neither disturbs the other."""
    alone = FIXED_NETWORKS["softmax"]()
    history = alone.fit(X, Y, epochs=3, batch_size=7)
    nets = [FIXED_NETWORKS["softmax"]() for _ in range(2)]
    runs = [Run(net, nn.Adam()) for net in nets]
    examples = [Examples(net, X, Y, 7) for net in nets]
    for epoch in range(3):
        for chosen in examples[0].batches(epoch):
            for run_, data in zip(runs, examples, strict=True):
                run_.step_on(data, chosen)
        for run_ in runs:
            run_.end_epoch()
    for run_ in runs:
        run_.show()
        assert run_.history == history
        assert same(run_.net.state(), alone.state())


def test_a_full_batch_is_the_examples_in_their_order():
    examples = Examples(FIXED_NETWORKS["softmax"](), X, Y)
    assert examples.batches(0) == [None]
    assert examples.given(None)[0] is X
    assert np.array_equal(examples.ready(None, (2, 23))[0], X)


# --- float32 --------------------------------------------------------------------------------------


NARROW = X.astype(np.float32)


@pytest.mark.parametrize("make", FIXED_NETWORKS.values(), ids=FIXED_NETWORKS)
@pytest.mark.parametrize("rows", [False, True])
def test_float32_examples_are_trained_on_in_float32(make, rows):
    net, wide = make(), make()
    x, y = (NARROW, Y) if net.loss == "cross_entropy" else (NARROW, COLUMNS)
    if rows:
        net = nn.Network(3, nn.Dense(5, "tanh"), nn.Dense(2, "softmax"), rows=True)
        wide = nn.Network(3, nn.Dense(5, "tanh"), nn.Dense(2, "softmax"), rows=True)
        x, y = NARROW.T, Y
    seen = []

    def look(run):
        arrays = [*run.gradients.values(), *run.position.memory.values()]
        seen.extend(a.dtype for a in arrays if isinstance(a, np.ndarray))

    validation = (np.float64(x), y)
    given = {"epochs": 3, "batch_size": 7, "optimiser": nn.Adam(0.02)}
    history = net.fit(x, y, callbacks=[look], validation=validation, dtype=np.float32, **given)
    quiet = make() if not rows else None
    expected = wide.fit(np.float64(x), y, validation=validation, **given)
    assert set(seen) == {np.dtype(np.float32)}
    assert {a.dtype for a in net.state().values()} == {np.dtype(np.float32)}
    assert {p.grad.dtype for p in net.parameters.values()} == {np.dtype(np.float32)}
    for key, numbers in expected.items():
        if "accuracy" not in key:
            np.testing.assert_allclose(history[key], numbers, rtol=2e-4)
    if quiet is not None:
        assert quiet.fit(x, y, validation=validation, **given) == history
        assert same(quiet.state(), net.state())


def test_normalised_and_recurrent_nets_train_in_float32_too():
    for net, x in (
        (a_net(), NARROW),
        (nn.Network(3, nn.Recurrent(4), nn.Dense(2, "softmax")), np.stack([NARROW, NARROW])),
    ):
        net.fit(x, Y, epochs=2, batch_size=7)
        assert {a.dtype for a in net.state().values()} == {np.dtype(np.float32)}
        assert net.predict(x).dtype == np.float32


def test_dtype_says_what_to_compute_in():
    make, given = FIXED_NETWORKS["softmax"], {"epochs": 2, "batch_size": 7}
    one, other, stream = make(), make(), make()
    assert one.fit(X, Y, dtype="float32", **given) == other.fit(NARROW, Y, **given)
    assert same(one.state(), other.state())
    batches, _ = shuffled(stream, X, Y, batch_size=7)
    nn.fit(stream, batches, epochs=2, dtype=np.float32)
    assert {a.dtype for a in stream.state().values()} == {np.dtype(np.float32)}
    one.fit(NARROW, Y, dtype=float, **given)
    assert {a.dtype for a in one.state().values()} == {np.dtype(np.float64)}
    whole_numbers = np.round(3 * X).astype(int)
    other.fit(whole_numbers, Y, **given)  # which say nothing: as the net was
    assert {a.dtype for a in other.state().values()} == {np.dtype(np.float32)}
    for wrong in ("float16", int, "none"):
        with pytest.raises(tg.GradError, match="dtype is float64 or float32"):
            make().fit(X, Y, dtype=wrong)


def test_float32_is_saved_and_resumed_to_the_bit(tmp_path):
    make, path = FIXED_NETWORKS["dropout"], tmp_path / "run.npz"
    whole, again, restored = make(), make(), make()
    given = {"batch_size": 7, "validation": (NARROW, Y)}
    history = whole.fit(NARROW, Y, epochs=4, **given)
    make().fit(NARROW, Y, epochs=2, checkpoint=path, **given)
    assert {np.load(path)[key].dtype for key in ("net/W1", "memory/W1.v", "best/b2")} == {
        np.dtype(np.float32)
    }
    assert again.fit(NARROW, Y, epochs=4, checkpoint=path, resume=True, **given) == history
    assert same(again.state(), whole.state())
    assert {a.dtype for a in again.state().values()} == {np.dtype(np.float32)}
    restored.restore(whole.state())
    assert same(restored.state(), whole.state())
    assert {a.dtype for a in restored.state().values()} == {np.dtype(np.float32)}
    assert restored.cost(NARROW, Y).dtype == np.float32
