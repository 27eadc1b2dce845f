"""Small texts that ask for much: sheets whose values, graphs or diagnoses grow, by name.

`GROWING` are written by hand, one kind each; `grown` makes others at random out of every step by
which a value can become larger or a formula longer.
"""

from __future__ import annotations

import random

#: Begins a program that measures its own memory. (`ru_maxrss` starts from what the process that
#: started it had held.)
PEAK = """
import resource

def peak():
    '''The most memory held so far, in kB.'''
    try:
        with open("/proc/self/status") as status:
            return int(next(line.split()[1] for line in status if line.startswith("VmHWM")))
    except FileNotFoundError:  # no Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""
HEAD = "m = 5\nX: (3, m)\nw: (1, 3)\n"
END = "Z = w @ X\nJ = np.sum(Z**2) / m\ndZ = 2 * Z\n"


def numbered(n: int, line: str, start: int = 0) -> str:
    """A line n times, with i and j = i + 1 filled in."""
    return "".join(line.format(i=i, j=i + 1) + "\n" for i in range(start, start + n))


def repeated(start: str, step: str, n: int, use: str = "q = t") -> str:
    """A value that grows forward, line after line."""
    return f"{HEAD}t = {start}\n" + f"t = {step}\n" * n + f"{use}\n{END}"


def layers(n: int, slope: str) -> str:
    """A deep net and all its lines, with the slope of tanh as given: of A it is right."""
    text = "m = 5\nX: (3, m)\nY: (3, m)\nA0 = X\n"
    text += numbered(n, "W{j}: (3, 3)\nb{j}: (3, 1)")
    text += numbered(n, "Z{j} = W{j} @ A{i} + b{j}\nA{j} = np.tanh(Z{j})")
    text += f"J = np.sum((A{n} - Y)**2) / (2 * m)\ndA{n} = A{n} - Y\n"
    for i in range(n, 0, -1):
        text += f"dZ{i} = dA{i} * (1 - {slope}{i}**2)\ndW{i} = dZ{i} @ A{i - 1}.T / m\n"
        text += f"db{i} = np.sum(dZ{i}, axis=1, keepdims=True) / m\n"
        text += f"dA{i - 1} = W{i}.T @ dZ{i}\n" if i > 1 else ""
    return text


LARGE = "A: (1000, 1000)\nJ = np.sum(A)\n"
SIDE = "A: (1400, 1)\nB: (1, 1400)\nC: (1400, 1, 1)\nJ = np.sum(A)\n"
WRONG = HEAD + numbered(140, "W{i}: (3, 3)") + "A0 = X\n" + numbered(
    140, "A{j} = np.tanh(W{i} @ A{i})"
) + "J = np.sum(A140**2) / m\n"  # fmt: skip
NESTED = "a0 = [1, 2]\n" + numbered(40, "a{j} = [a{i}, a{i}]")
#: Lists whose depth hides behind parts that were looked at before.
HIDDEN = "b0 = [1]\n" + "".join(
    f"b{i} = [{', '.join(f'b{k}' for k in range(i))}, [b{i - 1}]]\n" for i in range(1, 60)
)

GROWING = {
    "loops in loops": f"{HEAD}" + "".join(
        f"{' ' * i}for i{i} in range(2000):\n" for i in range(9)
    ) + f"{' ' * 9}pass\n{END}",
    "many loops at once":
        f"{HEAD}for t in zip({', '.join(['range(2000)'] * 9000)}): pass\n{END}",
    "a long text in many places of a loop":
        f"{HEAD}for t in [[{','.join('1' * 40_000)}]]:\n  a = [{','.join('t' * 20_000)}]\n{END}",
    "a matrix of derivatives": "X: (1400,)\nA = X" + " * X" * 99
    + "\nJ = np.sum(A)\nD: jacobian(dX, X) = A\n",
    "a loop that never ends": f"{HEAD}for t in range(10**18): a = t\n{END}",
    "a tuple doubled": repeated("(1, 2)", "t + t", 34),
    "a tuple doubled in place": f"{HEAD}t = (1, 2)\n" + "t += t\n" * 34 + END,
    "a list doubled": repeated("[1, 2]", "t + t", 34, "q = np.sum(t)"),
    "a shape doubled": repeated("X.shape", "t + t", 34, "q = np.zeros(t)"),
    "a tuple repeated": repeated("(1, 2)", "t * 9", 30),
    "a text repeated": repeated("'ab'", "t * 9", 30),
    "whole numbers squared": repeated("3", "t * t", 80),
    "whole numbers squared in place": f"{HEAD}t = 3\n" + "t *= t\n" * 80 + END,
    "whole numbers raised": repeated("3", "t ** 9", 80),
    "whole numbers divided": repeated("3", "t * t // 2", 80),
    "lists in lists, summed": f"{HEAD}{NESTED}q = np.sum(a40)\n{END}",
    "lists in lists, a shape": f"{HEAD}{NESTED}q = np.shape(a40)\n{END}",
    "lists in lists, compared": f"{HEAD}{NESTED}q = a40 == a40\n{END}",
    "lists in lists, an index": f"{HEAD}{NESTED}q = X[a40]\n{END}",
    "lists in lists of nothing": f"{HEAD}{NESTED.replace('[1, 2]', '[]')}q = np.sum(a40)\n{END}",
    "lists in lists, claimed": f"{HEAD}{END}{NESTED}dX = a40\n",
    "lists of hidden depth": f"{HEAD}{HIDDEN}q = np.sum(b59)\n{END}",
    "arrays stacked": "a: (2,)\n" + "a = np.stack([a, a])\n" * 30 + "J = np.sum(a)\nda = a\n",
    "arrays joined": "a: (2,)\n" + "a = np.concatenate([a, a])\n" * 30 + "J = np.sum(a)\nda = a\n",
    "outer products": "a: (9,)\n"
    + "a = np.ravel(np.outer(a, a))\n" * 9 + "J = np.sum(a)\nda = a\n",
    "broadcasting": "a: (9,)\n" + "a = np.ravel(a[:, None] * a)\n" * 9 + "J = np.sum(a)\nda = a\n",
    "a list of one large array": LARGE + "dA = np.exp([" + "A, " * 500 + "])\n",
    "a row of one large array": LARGE + "dA = np.vstack([" + "A, " * 500 + "])\n",
    "a tuple of one large array": LARGE + "dA = np.concatenate((" + "A, " * 500 + "))\n",
    "an array at many indices": "A: (1000, 1000)\nq = A[np.arange(1000000) % 2]\nJ = np.sum(A)\n",
    "a claim at many indices": LARGE + "dA = A[np.arange(1000000) % 2]\n",
    "indices of two axes": LARGE + "i = np.arange(1000)\ndA = A[i[:, None], i][i] * A\n",
    "a clip with named sides": SIDE + "dA = np.clip(A, a_min=B, a_max=C)\n",
    "a choice of three sides": SIDE + "dA = np.where(A > 0, B, C)\n",
    "a slope of another side": SIDE + "dA = leaky_relu_prime(A + C, slope=B)\n",
    "a variance of many degrees": SIDE + "dA = np.var(C + A, axis=2, ddof=np.arange(1400))\n",
    "products with names": "A: (1400, 1400)\n" + numbered(99, "c{i} = np.matmul(A, A)")
    + "J = np.sum(A)\n",
    "dot products with names": "A: (1400, 1400)\nJ = np.sum(A)\nB = A[:] * 1\n"
    + numbered(99, "c{i} = np.dot(a=B, b=B)") + "dA = A\n",
    "methods": "A: (1400, 1400)\nJ = np.sum(A)\n" + numbered(99, "c{i} = A.dot(A)") + "dA = A\n",
    "entries set": LARGE + "d = np.zeros((1000, 1000))\n" + "d[0] = A[0]\n" * 999 + "dA = d\n",
    "entries added to": LARGE + "d = np.zeros((1000, 1000))\ni = np.arange(1000)\n"
    + "np.add.at(d, (i[:, None], i), A)\n" * 200 + "dA = d\n",
    "arrays added to": LARGE + "d = A\n" + "d += A\n" * 999 + "dA = d\n",
    "comparisons": LARGE + numbered(999, "d{i} = A > {i}") + "dA = d3\n",
    "casts": LARGE + numbered(999, "d{i} = np.int64(A)") + "dA = d3\n",
    "zeros": LARGE + numbered(999, "d{i} = np.zeros((1000, 1000))") + "dA = d3\n",
    "a long graph of large arrays": "A: (1000, 1000)\nd0 = A\n"
    + numbered(99, "d{j} = np.tanh(d{i})") + "J = np.sum(d99)\ndA = A\n",
    "a graph that just fits": "A: (1000, 1000)\nd0 = A\n" + numbered(4, "d{j} = np.tanh(d{i})")
    + "J = np.sum(d4)\ndA = A\ndd3 = A\n",
    "many givens just below the limit": numbered(99, "a{i}: (1000, 1999)") + "J = np.sum(a0)\n",
    "a product of many numbers": "a: (2000,)\nJ = np.prod(a)\nda = a\n",
    "shared terms": f"{HEAD}t = X\n" + "t = np.tanh(t) * t\n" * 60 + "J = np.sum(t)\ndX = X\n",
    "shared terms of one number": f"{HEAD}t = np.sum(X)\n" + "t = np.tanh(t) * t\n" * 60
    + "J = t\ndX = X\n",
    "shared terms that are scratch": f"{HEAD}{END}t = X\n"
    + "t = np.tanh(t) * t\n" * 60 + "dX = t\n",
    "shared matrix products": "X: (3, 3)\nt = X\n" + "t = t @ t / 9 + t\n" * 200
    + "J = np.sum(t)\ndX = X\n",
    "140 wrong lines": WRONG + numbered(140, "dA{j} = 3 * A{j} * X"),
    "60 layers with a mistake in each": layers(60, "Z"),
    "60 layers": layers(60, "A"),
    "1,900 claims of one quantity": f"{HEAD}J = np.sum(X**2) / m\n"
    + numbered(1900, "c{i}: dX = 3 * X * X / m"),
    "1,900 right claims": f"{HEAD}J = np.sum(X**2) / m\n" + numbered(1900, "c{i}: dX = 2 * X / m"),
    "lines that follow one another": f"{HEAD}J = np.sum(X**2) / m\nc0: dX = 3 * X * X / m\n"
    + numbered(1900, "c{j}: dX = c{i} * 1"),
    "many ties": "a: (50,) = binary\nb: (50,)\n" + "b = np.maximum(a, b)\n" * 1500
    + "J = np.sum(b)\ndb = a\n",
    "300 claims of one quantity": f"{HEAD}J = np.sum(X**2) / m\n"
    + numbered(300, "c{i}: dX = 3 * X * X / m"),
    "300 states of one name": "a: (3,)\n" + "a = np.tanh(a)\n" * 300 + "J = np.sum(a)\n"
    + numbered(300, "c{i}: da = 3 * a"),
    "1,900 small lines": HEAD + numbered(1900, "c{i} = w * w * w * w * w * w") + END + "dw = w\n",
    "masks over masks": "a: (100,)\n" + "a = np.where(a > 0, a, a * 2)\n" * 300
    + "J = np.sum(a)\nda = a\n",
    "ties": "a: (1000,) = binary\nb: (1000,)\n" + "b = np.maximum(a, b)\n" * 300
    + "J = np.sum(b)\ndb = a\n",
    "nothing finite, ever": "a: (300, 300)\n" + numbered(30, "b{i} = a @ a")
    + "J = np.sum(np.log(-a**2))\nda = a\n",
    "many numbers, many shapes": numbered(400, "n{i} = {i} + 3\na{i}: (n{i},)")
    + "J = np.sum(a0)\nda0 = 2 * a0\n",
    "chained targets": HEAD + "".join(f"q{i} = " for i in range(15_000)) + "X\n" + END,
    "targets side by side": HEAD + ", ".join(f"q{i}" for i in range(9000)) + " = X\n" + END,
    "names nobody defined": HEAD + END + numbered(1000, "c{i} = undefined{i} + other{j}"),
    "names alike": HEAD + "".join(f"{'a' * 300}{i} = X\n" for i in range(200)) + "q = b\n" + END,
    "one long name": f"{'a' * 50_000}: (3,)\nJ = np.sum({'a' * 50_000})\nd{'a' * 50_000} = 3\n",
    "brackets": f"{HEAD}q = {'(' * 190}X{')' * 190}\n{END}",
    "brackets beside brackets": f"{HEAD}q = "
    + " + ".join("(" * 100 + "X" + ")" * 100 for _ in range(140)) + f"\n{END}",
    "minus minus": f"{HEAD}q = {'-' * 150_000}X\n{END}",
    "a wide list": f"{HEAD}q = [{'1, ' * 60_000}]\n{END}",
    "a wide call": f"{HEAD}q = np.sum({'X, ' * 60_000})\n{END}",
    "a wide sum": HEAD + END + "dw = "
    + "+".join("(" + "+".join(["w"] * 99) + ")" for _ in range(99)) + "\n",
    "a text in pieces": f"{HEAD}q = f'{'{X}' * 60_000}'\n{END}",
    "comments": "# nothing\n" * 9_000 + HEAD + END,
    "a million comments": "#\n" * 1_000_000,
    "a megabyte on one line": f"{HEAD}q = {'X + ' * 250_000}X\n{END}",
}  # fmt: skip

_STARTS = ("2", "2.5", "(3, 4)", "[3, 4]", "X", "X.shape", "np.ones((3, 4))", "np.arange(9)")
_STEPS = (
    "t + t", "t * t", "t - s", "t / s", "t ** t", "t // s", "t % s", "t @ t", "-t", "t > s",
    "[t, t]", "[t, s]", "(t, t, t)", "[[t]]", "np.array(t)", "np.array([t, t])", "np.exp(t)",
    "np.stack([t, t])", "np.vstack((t, t))", "np.concatenate([t, t])", "np.outer(t, t)",
    "np.dot(t, t)", "np.dot(a=t, b=t)", "np.tile(t, 9)", "np.repeat(t, 9)", "np.repeat(t, 9, 0)",
    "np.where(t > 0, t, s)", "np.clip(t, a_min=s, a_max=t)", "np.maximum(t, s)", "np.sum(t)",
    "np.cumsum(t)", "np.reshape(t, (-1, 1))", "t.reshape(1, -1)", "t[None]", "t[..., None]",
    "t[[0, 0, 1, 1]]", "t[np.arange(4) % 2]", "t[t > 0]", "np.diag(t)", "np.eye(9) * t", "t.T",
    "np.broadcast_to(t, (9, 3, 4))", "np.full((90, 90), t)", "np.zeros_like(t)", "np.shape(t)",
    "np.ones(t)", "np.float64(t)", "softmax(t, axis=0)", "sigmoid_prime(t)", "t * np.tanh(t)",
)  # fmt: skip


def grown(rng: random.Random) -> str:
    """A sheet in which a value grows step by step, forward, or as scratch of a claim."""
    steps = rng.choices(_STEPS, k=rng.choice([1, 2, 3]))
    lines = [f"t = {rng.choice(_STARTS)}", f"s = {rng.choice(_STARTS)}"]
    for _ in range(rng.choice([20, 60, 300])):
        step = rng.choice(steps)
        lines.append(rng.choice([f"t = {step}", f"t = {step}", f"s = {step}", "t += s", "s *= t"]))
    grows = "\n".join(lines) + "\n"
    if rng.random() < 0.5:
        return f"{HEAD}{grows}Z = w @ X\nJ = np.sum(Z**2) / m + 0 * np.sum(t)\ndZ = 2 * Z\n"
    return f"{HEAD}{END}{grows}dX = t\ndw = np.sum(s)\n"
