"""How fast servers of the same models answer, side by side: `python -m benchmarks.serving`."""
