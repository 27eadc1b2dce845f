"""Claims judged: the truth of every claim of a sheet, on given and on fresh numbers, and a verdict.

In reading order: `truth` (gradients, kinks, central differences) and `jacobians`; `rounding` (what
rounding can do); `samples` and `sides` (fresh numbers); `conventions` (the two scales); `notes`
(what is said beside a verdict); `verdict`; then `flow`, for what is handed in as numbers, `unread`,
for lines that cannot be read, and `table`, of verdicts.
"""
