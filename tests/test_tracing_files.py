"""Scripts, notebooks and functions of a file, checked from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tinygrad_edu import GradError, cli
from tinygrad_edu.tracing.files import check_file

SCRIPTS = Path(__file__).parent / "code" / "scripts"
LOSSES = {
    "eleven_lines": "0.5 * np.sum((y - l2) ** 2)",
    "class_in_a_loop": "np.sum((nn.y - nn.output) ** 2)",
}
#: The error it prints has no 1/2, and what it calls the error's derivative has.
HALVED = {"neurons_in_lists": "0.5 * sum((e - o) ** 2 for e, o in zip(expected, outputs))"}

PARTS = """
import numpy as np
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(3, 7)), (rng.random((1, 7)) > 0.5) * 1.0
def start():
    return {"W1": rng.normal(size=(4, 3)), "W2": rng.normal(size=(1, 4))}
def forward(X, parameters):
    A1 = np.tanh(parameters["W1"] @ X)
    A2 = 1 / (1 + np.exp(-parameters["W2"] @ A1))
    cache = (A1, A2)
    return A2, cache
def compute_cost(A2, Y):
    return -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
def backward(parameters, cache, X, Y):
    A1, A2 = cache
    dZ2 = (A2 - Y) / X.shape[1]
    dZ1 = parameters["W2"].T @ dZ2 * (1 - A2**2)
    grads = {"dW2": dZ2 @ A1.T, "dW1": dZ1 @ X.T}
    return grads
"""


@pytest.mark.parametrize("path", sorted(SCRIPTS.iterdir()), ids=lambda path: path.name)
@pytest.mark.one_in(5)
def test_scripts_and_notebooks_as_people_post_them_are_followed_unchanged(path):
    report = check_file(path, loss=LOSSES.get(path.stem))
    assert report.followed, report.remarks
    assert report.ok, str(report)


@pytest.mark.parametrize("script, right, wrong", [
    ("eleven_lines", "(y - l2)*(l2*(1-l2))", "(y - l2)*l2"),
    ("logistic", "weights -= lr * dw", "weights += lr * dw"),
    ("line", "w = w - eta * grad_w", "w = w - eta * grad_w * 2"),
    pytest.param(
        "planar", "(1 - np.power(A1, 2))", "(1 - np.power(Z1, 2))", marks=pytest.mark.slow
    ),
    ("class_in_a_loop", "self.layer1.T, (2", "self.layer1.T, (4"),
    ("functions_in_a_loop", "np.sum(dZ1, axis=1", "np.sum(dZ2, axis=1"),
    ("loop_in_a_function", "dW1 += reg_lambda * W1", "dW1 += reg_lambda * W1 * 2"),
    ("neurons_in_lists", "output * (1.0 - output)", "output * (1.0 + output)"),
    pytest.param("vanilla_rnn", "dW += dz", "dW -= dz", marks=pytest.mark.slow),
])  # fmt: skip
@pytest.mark.one_in(3)
def test_a_mistake_in_a_script_is_named_by_its_line(script, right, wrong, tmp_path):
    (path,) = SCRIPTS.glob(f"{script}.*")
    text = path.read_text(encoding="utf-8")
    assert right in text
    bad = tmp_path / path.name
    bad.write_text(text.replace(right, wrong), encoding="utf-8")
    loss = LOSSES.get(script, HALVED.get(script))
    report = check_file(bad, loss=loss, step=script != "functions_in_a_loop")
    assert not report.ok
    assert wrong in report.lines[0]["source"]
    assert report.lines[0]["diagnosis"]["correction"]


ERRORS = """import numpy as np
X, y = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]), np.array([[0.5], [1.0]])
W1, W2 = np.ones((3, 2)) / 4, np.ones((2, 1)) / 3
for epoch in range(9):
    l1 = np.tanh(X.dot(W1))
    l2 = l1.dot(W2)
    l2_error = y - l2
    {cost}
    l1_error = l2_error.dot(W2.T) * (1 - l1)
    W2 += 0.1 * l1.T.dot(l2_error)
    W1 += 0.1 * X.T.dot(l1_error)
"""


def test_the_cost_of_a_script_is_the_error_that_is_one_number(tmp_path):
    file = tmp_path / "errors.py"
    file.write_text(ERRORS.format(cost="error = 0.5 * np.sum(l2_error**2)"))
    (line,) = check_file(file).lines
    assert line["diagnosis"]["correction"] == "l1_error = l2_error.dot(W2.T) * (1 - l1**2)"


def test_errors_one_for_every_example_are_no_cost(tmp_path):
    file = tmp_path / "errors.py"
    file.write_text(ERRORS.format(cost="print(np.mean(np.abs(l2_error)))"))
    with pytest.raises(GradError, match="no cost was found in the loop"):
        check_file(file)


@pytest.mark.slow
def test_a_weight_updated_before_it_is_used_is_told_with_the_lines_in_order(tmp_path):
    text = (SCRIPTS / "layers_in_a_list.py").read_text(encoding="utf-8")
    used, updated = [line for line in text.splitlines(True) if "= np.dot(self.weights.T" in line
                     or "self.weights -=" in line]  # fmt: skip
    file = tmp_path / "layers.py"
    file.write_text(text.replace(used + updated, updated + used))
    (line,) = check_file(file).lines
    assert line["diagnosis"]["mistake"] == "updated_weights"
    assert line["source"] == used.strip()
    assert line["diagnosis"]["correction"].splitlines() == [used.strip(), updated.strip()]


@pytest.mark.parametrize("rate, given, says", [
    ("0.01", None, "over the learning rate 0.01"),
    ("lr", None, "over the learning rate 0.02"),
    ("lr / 2", None, "over the learning rate 0.01, which is 0.5 times 0.02"),
    ("lr", 0.04, "over the learning rate 0.04"),
])  # fmt: skip
@pytest.mark.one_in(2)
def test_a_step_has_the_rate_it_is_given_or_that_is_named_or_shared(rate, given, says, tmp_path):
    file = tmp_path / "line.py"
    file.write_text(
        ("lr = 0.02\n" if "lr" in rate else "")
        + "w, b = 2.0, 0.5\nfor i in range(3):\n    e = 3 * w + b\n    loss = e**2\n"
        f"    w -= {rate} * 6 * e\n    b -= {rate} * 2 * e\n"
    )
    report = check_file(file, rate=given)
    assert report.remarks == [f"the gradients are what one step takes away, {says}"]
    assert report.ok == (given is None)


def test_the_cost_of_a_loop_may_come_together_with_the_gradients(tmp_path):
    file = tmp_path / "pair.py"
    file.write_text(
        "def f(w):\n    return w**3, (2 * w**2, w)\nw = 1.5\n"
        "for i in range(3):\n    loss, (dw, _) = f(w)\n    w = w - 0.1 * dw\n    print(loss)\n"
    )
    (line,) = check_file(file).lines
    assert line["diagnosis"]["correction"] == "return w**3, (3 * w**2, w)"


def test_forward_cost_and_backward_are_called_by_the_names_of_their_arguments(tmp_path, capsys):
    file, page = tmp_path / "net.py", tmp_path / "net.html"
    file.write_text(PARTS)
    code = cli.main([
        "check-code", str(file), "--forward", "forward", "--cost", "compute_cost",
        "--backward", "backward", "--parameters", "start", "--json", "--html", str(page),
    ])  # fmt: skip
    assert code == 1
    said = capsys.readouterr()
    assert f"executing {file}" in said.err
    report = json.loads(said.out)
    assert [g["name"] for g in report["gradients"] if g["verdict"] == "wrong"] == ["W1"]
    (line,) = report["lines"]
    assert line["diagnosis"]["correction"] == 'dZ1 = parameters["W2"].T @ dZ2 * (1 - A1**2)'
    assert "(1 - <ins>A1</ins>**2)" in page.read_text(encoding="utf-8")


def test_what_a_file_prints_is_not_in_the_report_and_a_right_one_ends_with_0(tmp_path, capsys):
    file = tmp_path / "right.py"
    file.write_text(
        "print('hello')\ndef run(numbers):\n    w = numbers['w']\n"
        "    return w**3, {'w': 3 * w**2}\nnumbers = {'w': 1.5}\n"
    )
    assert cli.main(["check-code", str(file), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["ok"]
    assert "hello" in said.err


@pytest.mark.parametrize("text, says", [
    ("x = 1\n", "no function run"),
    ("def run(numbers):\n    return 1\n", "named numbers"),
    ("def run(:\n", "line 1"),
    ("1 / 0\ndef run(numbers): pass\n", "ZeroDivisionError"),
])  # fmt: skip
def test_a_file_that_cannot_be_run_ends_with_2_and_says_why(text, says, tmp_path, capsys):
    file = tmp_path / "learner.py"
    file.write_text(text)
    assert cli.main(["check-code", str(file)]) == 2
    assert says in capsys.readouterr().err


def test_a_notebook_has_a_magic(tmp_path):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "tinygrad_edu")
    shell.run_cell(
        "def run(numbers):\n    w = numbers['w']\n    return w**3, {'w': 3 * w}\n"
        "numbers = {'w': 1.5}"
    )
    report = shell.run_line_magic("check_code", "run numbers")
    assert [line["source"] for line in report.lines] == ["return w**3, {'w': 3 * w}"]


def test_the_guide_shows_what_the_command_prints(capsys, monkeypatch):
    monkeypatch.chdir(SCRIPTS.parents[2])
    cli.main(["check-code", "examples/18_your_script.py"])
    said = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    shown = Path("examples/guide/check_your_own_code.md").read_text(encoding="utf-8")
    block = shown.split("$ tinygrad-edu check-code examples/18_your_script.py\n")[1].split("```")[0]
    #: How far rounding takes right numbers from the true ones is another on another processor.
    rounded = re.compile(r" +(0|\d\.\de-1[4-9]) │")
    assert [rounded.sub(" # │", line) for line in block.splitlines()] == [
        rounded.sub(" # │", line) for line in said
    ]


def test_a_file_that_is_not_there_is_not_said_to_be_executed(capsys):
    assert cli.main(["check-code", "nowhere.py"]) == 2
    said = capsys.readouterr().err
    assert "nowhere.py: No such file" in said
    assert "executing" not in said
