"""Claims judged: the truth of every claim of a sheet, on given and on fresh numbers, and a verdict.

In reading order: `truth` (gradients, kinks, central differences), `rounding` (what rounding can
do), `samples` and `sides` (fresh numbers), `conventions` (the two scales), `verdict`; for what is
handed in as numbers, `flow`; and `table`, of verdicts.
"""
