"""What recordings go through on their way: codecs, noise, rooms, band limits, overdrive, gain.

Every function takes float32 mono samples (n,) at 16 kHz and gives float32 samples of the same length. Randomness
comes only from the `numpy.random.Generator` that is passed in.
"""
