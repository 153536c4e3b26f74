"""The page beside every version: how it was fitted, how good it is, where it errs, what changed.

`evidence.gather` looks at the network once, while it is in memory; `page.write` turns what it found into one
self-contained HTML file. What is measured (`measures`), drawn (`charts`) and laid out (`sections`) are pure
functions.
"""

FILE = "report.html"
"""Its name in a version's assets.extra."""
