"""An operation of one's own: a wrong rule is found, a right one is derived, drawn, compiled."""

import numpy as np

import tinygrad_edu as tg


# swish(x) = x σ(βx). By the product rule its slope has two terms; here the second lost its β.
@tg.primitive(
    lambda dz, z, x, *, beta=1.0: dz * (tg.sigmoid(beta * x) + z * (1 - tg.sigmoid(beta * x))),
    latex=r"\operatorname{{swish}}({0})",
    numpy="np.divide({0}, 1 + np.exp(-{beta} * {0}))",
)
def swish(x, beta=1.0):
    return x / (1 + np.exp(-beta * x))


x = np.array([-2.0, 0.5, 3.0])
tg.check_gradients(swish, x)  # with β = 1 nobody would notice …
try:
    tg.check_gradients(lambda x: swish(x, beta=2.0), x)
except AssertionError as error:
    print("… with β = 2 the central difference does:", error)


@tg.primitive(
    lambda dz, z, x, *, beta=1.0: (
        dz * (tg.sigmoid(beta * x) + beta * z * (1 - tg.sigmoid(beta * x)))
    ),
    latex=r"\operatorname{{swish}}({0})",
    numpy="np.divide({0}, 1 + np.exp(-{beta} * {0}))",
    sheet=True,
)
def swish_2(x, beta=1.0):
    return x / (1 + np.exp(-beta * x))


tg.check_gradients(lambda x: swish_2(x, beta=2.0), x, order=2)  # its own derivative too

X, W = tg.Value(np.ones((3, 5)), "X", requires_grad=False), tg.Value(np.eye(4, 3), "W")
Z = W @ X
J = tg.mean(tg.sum(swish_2(Z), axis=0))
tg.name_values(Z=Z, J=J)
print("\nderived:", *tg.derive(J).rules, sep="\n  ")

program = tg.compile(J)
print("\ncompiled, on other numbers:", round(program(X=2 * X.data, W=W.data)[0], 6))
print("drawn:", "swish_2" in tg.draw(J).source)

sheet = """
m = 5
X: (3, m)
W: (4, 3)
Z = W @ X
J = np.sum(swish_2(Z)) / m
dZ = sigmoid(Z) + swish_2(Z) * (1 - sigmoid(Z))
dW = dZ @ X.T
"""
print("\nin a sheet:")
print(tg.check_text(sheet))
