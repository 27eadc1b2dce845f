"""Write examples/tour.ipynb and run it: `pip install nbformat nbclient ipykernel` first."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

CELLS = [
    "# From one neuron to a net that reads digits\n\nEvery value remembers how it was computed; "
    "`backward` puts the derivative of the result on all of them.",
    ">import tinygrad_edu as tg\n"
    'w, x, b = tg.Value(2.0, "w"), tg.Value(-3.0, "x"), tg.Value(5.5, "b")\n'
    "z = w * x + b\n"
    "a = tg.tanh(z)\n"
    "tg.name_values(z=z, a=a)\n"
    "a.backward()\n"
    "w.grad, x.grad, b.grad",
    ">tg.draw(a)",
    "## The lecture's net\n\nTwo layers over m examples, which are columns: `Z¹ = W¹X + b¹`, "
    "`A¹ = tanh(Z¹)`, `Z² = W²A¹ + b²`, `A² = σ(Z²)`. The six rules are derived from the graph:",
    ">from tinygrad_edu import nn\n"
    'net = nn.Network(3, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid"))\n'
    "print(net.derive())",
    "## A derivation of one's own\n\nHere the slope of tanh was forgotten in `dZ1`.",
    ">X, Y = net.example(m=5)\n\n\n"
    "def backward(X, Y, W2, A1, A2, m):\n"
    "    dZ2 = A2 - Y\n"
    "    dZ1 = W2.T @ dZ2\n"
    '    return {"dZ2": dZ2, "dW2": dZ2 @ A1.T / m, "dZ1": dZ1, "dW1": dZ1 @ X.T / m}\n\n\n'
    "net.check(backward, X, Y)",
    "## Real data\n\nHandwritten digits, 8 × 8 pixels (needs `pip install scikit-learn`).",
    ">data = nn.digits()\n"
    'net = nn.Network(64, nn.Dense(64, "relu"), nn.Dropout(0.2), nn.Dense(10, "softmax"))\n'
    "history = net.fit(\n"
    "    data.X, data.Y, epochs=30, optimiser=nn.Adam(0.003), progress=False,\n"
    "    validation=(data.X_test, data.Y_test),\n"
    ")\n"
    'print(f"{net.accuracy(data.X_test, data.Y_test):.1%} of unseen digits")',
    "## Where gradients go\n\nEach layer's gradient, the most it could be, and flat units.",
    ">print(nn.diagnose(net, data.X_test, data.Y_test))",
]


if __name__ == "__main__":
    notebook = new_notebook(
        cells=[
            new_code_cell(text[1:], id=f"c{i}")
            if text.startswith(">")
            else new_markdown_cell(text, id=f"c{i}")
            for i, text in enumerate(CELLS)
        ],
        metadata={"language_info": {"name": "python"}},
    )
    NotebookClient(notebook, kernel_name="python3").execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day
    nbformat.write(notebook, Path(__file__).parents[1] / "tour.ipynb")
