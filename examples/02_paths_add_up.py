"""A value used twice receives two contributions, and they are added."""

import tinygrad_edu as tg

x = tg.Value(3.0, "x")
(x * x).backward()
print("d(x·x)/dx =", x.grad)
assert x.grad == 6.0

# Fan-out as in the lecture's S4: a feeds two units, and da = dz1 · w1 + dz2 · w2.
a, w1, w2 = tg.Value(0.5, "a"), tg.Value(2.0, "w1"), tg.Value(-1.0, "w2")
z1, z2 = w1 * a, w2 * a
L = tg.sigmoid(z1) + tg.tanh(z2)
L.backward()
print("da =", a.grad, "=", z1.grad, "·", w1.data, "+", z2.grad, "·", w2.data)
assert abs(a.grad - (z1.grad * w1.data + z2.grad * w2.data)) < 1e-15

# Calling backward again adds to the leaves; zero_grad forgets.
L.backward()
print("after a second sweep, without zero_grad: dw1 =", w1.grad)
w1.zero_grad()
assert w1.grad is None
