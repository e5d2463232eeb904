"""Comparison of our Covo-Audio with reference outputs."""
