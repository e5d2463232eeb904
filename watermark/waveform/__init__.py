"""Waveform marks, one file each: what is installed or brought by the user is used, nothing is fetched."""
