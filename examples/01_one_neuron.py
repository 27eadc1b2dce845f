"""One neuron: a = tanh(w x + b), its derivatives, and its graph as a picture."""

import tinygrad_edu as tg

w, x, b = tg.Value(2.0, "w"), tg.Value(-3.0, "x"), tg.Value(5.5, "b")
z = w * x + b
a = tg.tanh(z)
tg.name_values(z=z, a=a)

a.backward()
for v in (a, z, w, x, b):
    print(f"{v.name} = {v.data:8.4f}    da/d{v.name} = {v.grad:8.4f}")

# By hand: da/dz = 1 − a², and then one factor more for each input of z.
dz = 1 - a.data**2
assert (w.grad, x.grad, b.grad) == (dz * x.data, dz * w.data, dz)

print("picture:", tg.render(a, "01_one_neuron.svg"))
