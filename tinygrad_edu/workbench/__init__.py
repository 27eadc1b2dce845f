"""The workbench: a page to write a derivation on, judged while one types.

`serve` shows it on this machine, `write` puts it into a folder for any web space; there Python runs
in the browser. Either way `answering` is what the page asks, in a process or a worker of its own.
"""
