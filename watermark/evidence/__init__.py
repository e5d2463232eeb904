"""Tests of presence: is a token mark under this key in the sound, where, and how sure; certified by an e-value."""
