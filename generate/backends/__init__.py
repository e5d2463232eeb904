"""The generators, one module each: a class registered in `generate/registry.py` that follows `Generator`."""
