"""What decoding one file may cost."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DecodeLimits:
    """Caps on one decode. A file that meets one of the last four is refused as `bad_header`, or cut (`too_long`)."""

    timeout_s: float = 60.0
    """Wall-clock seconds for one file; then the decoder is killed."""
    memory_bytes: int = 2 << 30
    """Address space of the decoder process (Linux; elsewhere as far as the system supports it)."""
    max_duration_s: float = 3600.0
    """Seconds decoded at most: a megabyte of FLAC can hold days of silence."""
    max_channels: int = 64
    min_rate_hz: int = 1_000
    max_rate_hz: int = 768_000
