"""Sentences that are true of the subject, whatever the line: of NumPy, of the chain rule."""

from __future__ import annotations

from tinygrad_edu.words import say

KEEPDIMS = say("advice.keepdims")
MEAN = say("advice.mean")
AXIS = say("advice.axis")
PRODUCTS = say("advice.products")
BRACKETS = say("advice.brackets")
SQUARE = say("advice.square")
EXAMPLES = say("advice.examples")
BIAS = say("advice.bias")
ONCE = say("advice.once")
AT = say("advice.at")
PASSED = say("advice.passed")
SOFTMAX = say("advice.softmax")
CLASSES = say("advice.classes")
NORMALISED = say("advice.normalised")
UPDATE = say("advice.update")
