"""A comparison: a grid of settings, each run and judged, ranked without truth; and the choice of one before a run."""
