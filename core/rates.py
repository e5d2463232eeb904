"""Rates that several layers share. Each number stands here once; the rest are computed from these."""

DETECTOR_RATE_HZ = 16_000
"""Sample rate at which every detector hears."""

COVO_RATE_HZ = 24_000
"""Sample rate of Covo-Audio's vocoder."""

TOKEN_RATE_HZ = 25
"""Speech tokens per second."""

LATENT_RATE_HZ = 100
"""Latent frames per second in Covo-Audio's token-to-audio decoder."""

SAMPLES_PER_TOKEN = COVO_RATE_HZ // TOKEN_RATE_HZ
LATENT_FRAMES_PER_TOKEN = LATENT_RATE_HZ // TOKEN_RATE_HZ
