"""Detectors of generated speech: front ends, scorers, training, calibration, metrics, policy -> verdict."""
