"""One file per network that can be trained; each one is registered in `detect/training/networks.py`."""
