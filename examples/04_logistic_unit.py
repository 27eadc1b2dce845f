"""The rule dz = a − y, and what the comparison says of a line that is wrong."""

import tinygrad_edu as tg

w, x, b = tg.Value(0.7, "w"), tg.Value(1.5, "x"), tg.Value(-0.2, "b")
y = tg.Value(1.0, "y", requires_grad=False)
z = w * x + b
a = tg.sigmoid(z)
L = -(y * tg.log(a) + (1 - y) * tg.log(1 - a))
tg.name_values(z=z, a=a, L=L)

right = {
    "da": lambda a, y: -y / a + (1 - y) / (1 - a),
    "dz": lambda a, y: a - y,
    "dw": lambda dz, x: dz * x,
    "db": lambda dz: dz,
}
print(tg.compare(L, right))
assert tg.compare(L, right).ok

# σ' applied once too often; dw and db only follow.
wrong = right | {"dz": lambda a, y: (a - y) * a * (1 - a)}
comparison = tg.compare(L, wrong)
print(comparison)
assert [row.verdict for row in comparison.rows] == ["correct", "wrong", "follows", "follows"]
