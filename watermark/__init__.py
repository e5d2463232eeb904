"""Marks put on speech and read back: token mark, waveform marks, signed credentials."""
