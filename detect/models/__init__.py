"""Bundled model files: one folder per model, with its card, calibration and checksums."""
