"""The detectors, one file each. A decorated class in a new file here is found by the registry."""
