"""Pictures: a graph as DOT, DOT as SVG, PNG or PDF. Drawing never changes a graph."""

from tinygrad_edu.drawing.picture import Picture, draw, render, step_through

__all__ = ["Picture", "draw", "render", "step_through"]
