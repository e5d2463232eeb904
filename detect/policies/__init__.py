"""Bundled policy files."""
