"""Sentences that are true of the subject, whatever the line: of NumPy, of the chain rule."""

from __future__ import annotations

KEEPDIMS = "np.sum drops the axis it sums over; keepdims=True keeps it."
MEAN = "np.mean divides by the number of terms, np.sum does not."
AXIS = "Without axis= np.sum adds up everything to one number."
PRODUCTS = "* multiplies element by element, shapes broadcast; @ is the matrix product."
BRACKETS = "In Python * and / bind before + and -, and a bracket reaches as far as it is closed."
SQUARE = "Numbers of shapes (m,) and (m, 1) are broadcast to (m, m)."
EXAMPLES = "What takes part in every example has a gradient that adds up over the examples."
BIAS = (
    "The gradient of a bias sums that of its layer over the examples; no gradient of a weight "
    "takes part in it."
)
ONCE = "The derivative of an activation is a factor once, and not at all where it has cancelled."
AT = "g'(Z) means the derivative at Z, not a product with it."
PASSED = "Only where the forward pass lets a number through does its gradient come back."
SOFTMAX = (
    "Each output of a softmax depends on every input: its derivative is no product element by "
    "element."
)
CLASSES = (
    "A softmax belongs over the axis of the classes; for the forward pass as it stands, the "
    "gradient is the corrected line."
)
NORMALISED = (
    "What is normalised reaches the cost through the numbers it is normalised with as well."
)
UPDATE = "An update belongs below all lines that read the weight."

#: All of them.
ADVICE = tuple(text for name, text in list(vars().items()) if name.isupper())
