"""The benchmarks check gradients before they time anything; no time is asserted here."""

import dataclasses

import numpy as np
import pytest
from benchmarks import fits, growth, workloads
from benchmarks.frameworks import FRAMEWORKS
from benchmarks.worker import NotApplicable, agrees, checked, prepare


@pytest.mark.parametrize("key", ["tinygrad_edu", "compiled"])
@pytest.mark.parametrize("name", ["W1", "W1 irregular", "W4", "W7 fan 1000", "W7 diamond 16"])
@pytest.mark.one_in(5)
def test_every_workload_has_the_gradients_of_the_hand_written_code(key, name):
    run, per = prepare(FRAMEWORKS[key](), name)
    run()
    assert per >= 1


def test_the_hand_written_network_agrees_with_central_differences():
    parameters = workloads.network_parameters()
    _, gradients = workloads.network_by_hand(parameters, n=10)
    for i in (0, 2, 40, 200, 330, 336):
        up, down = list(parameters), list(parameters)
        up[i] += 1e-6
        down[i] -= 1e-6
        slope = workloads.network_by_hand(up, n=10)[0] - workloads.network_by_hand(down, n=10)[0]
        assert gradients[i] == pytest.approx(slope / 2e-6, abs=1e-8)


def test_the_network_wired_at_random_agrees_with_central_differences():
    parameters = workloads.wired_parameters()
    _, gradients = workloads.wired_by_hand(parameters, n=10)
    for i in range(0, len(parameters), 29):
        up, down = list(parameters), list(parameters)
        up[i] += 1e-6
        down[i] -= 1e-6
        slope = workloads.wired_by_hand(up, n=10)[0] - workloads.wired_by_hand(down, n=10)[0]
        assert gradients[i] == pytest.approx(slope / 2e-6, abs=1e-6)


@pytest.mark.parametrize("name", fits.WORKLOADS)
@pytest.mark.one_in(5)
def test_whole_training_ends_where_the_hand_written_loop_ends(name):
    epochs = 40 if fits.WORKLOADS[name].batch == 0 else 1
    small = ["fit", "fit watched"] if name in ("F1", "F2", "F3") else ["fit"]
    made, steps = fits.prepared(name, small, epochs=epochs)
    assert list(made) == small
    assert steps >= 32


def test_a_training_that_ends_elsewhere_is_not_timed():
    w = dataclasses.replace(fits.WORKLOADS["F1"], epochs=3)
    X, labels = fits.examples(w)
    found = fits.Hand(w, X, labels, fits.weights(w)).run()
    fits.checked(found, found, "float64")
    other = [found[0][0] + 1e-6, *found[0][1:]], found[1]
    with pytest.raises(AssertionError, match="differ"):
        fits.checked(other, found, "float64")
    with pytest.raises(AssertionError, match="another dtype"):
        fits.checked(found, found, "float32")


@pytest.mark.slow
def test_growth_is_the_slope_of_time_over_size(tmp_path):
    assert growth.exponent([10, 20, 40], [3.0, 6.0, 12.0]) == pytest.approx(1)
    assert growth.exponent([10, 20, 40], [3.0, 12.0, 48.0]) == pytest.approx(2)
    growth.drawn({"W1": ([10, 20, 40], [3.0, 6.0, 12.0], [2.0, 4.0, 8.0])}, tmp_path / "g.svg")
    assert "W1" in (tmp_path / "g.svg").read_text()
    for _, make in growth.SERIES.values():  # each runs, at a size of nothing to speak of
        make(4)()


def test_wrong_gradients_are_not_timed():
    right = [1.0, np.array([[1.0, -2.0]])]
    checked(right, right)
    for wrong in ([1.0, np.array([[1.0, 2.0]])], [1.0, np.array([1.0, -2.0])], [np.nan, right[1]]):
        assert not agrees(wrong, right)
        with pytest.raises(AssertionError, match="differ"):
            checked(wrong, right)


def test_what_a_framework_lacks_is_said():
    with pytest.raises(NotApplicable):
        prepare(FRAMEWORKS["hand"](), "W10")
