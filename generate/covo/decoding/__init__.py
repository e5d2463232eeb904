"""Ids out of the language model: sampling, marks, continuous batching."""
