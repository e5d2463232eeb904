"""The only place where generators, marks, datasets, detectors and reports meet."""
