"""The mistakes by family: each function looks at a `Case` and yields what it finds."""
