"""From decoded frames at any rate and any channels to one 16 kHz channel, in bounded memory."""

import numpy as np

from ..rates import DETECTOR_RATE_HZ
from ..records import Float32Array
from .facts import HearBlock
from .levels import SoundStatistics
from .resample import StreamResampler

BLOCK_SAMPLES = 32_768
"""Frames are gathered to blocks of this size: a codec's own frames are too small to work on one by one."""


class Mixdown:
    """Sanitises, measures, mixes and resamples what is pushed into it.

    Samples that are not finite become 0. All others are limited to [-1, 1], as every player limits them: to
    scale the whole file instead would let one huge sample silence the rest.
    """

    def __init__(self, channel: int | None = None, hear: HearBlock | None = None) -> None:
        """`channel` None mixes to the mean of all channels; a number takes that channel alone.

        `hear` is given each block before it is mixed and resampled, sanitised.
        """
        self.statistics = SoundStatistics()
        self.peak = 0.0
        self.non_finite_samples = 0
        self._channel = channel
        self._hear = hear
        self._pending: list[Float32Array] = []
        self._pending_samples = 0
        self._rate_hz = 0
        self._channels = 0
        self._resampler: StreamResampler | None = None
        self._mono: list[Float32Array] = []

    def push(self, frame: Float32Array, rate_hz: int) -> None:
        """Take in float32 (channels, n). Rate and channels may change between frames."""
        if rate_hz != self._rate_hz or len(frame) != self._channels:
            self._process_pending()
            if rate_hz != self._rate_hz:
                self._end_resampler()
                self._resampler = StreamResampler(rate_hz, DETECTOR_RATE_HZ)
            self._rate_hz, self._channels = rate_hz, len(frame)
        self._pending.append(frame)
        self._pending_samples += frame.shape[1]
        if self._pending_samples >= BLOCK_SAMPLES:
            self._process_pending()

    def finish(self) -> list[Float32Array]:
        """Everything at 16 kHz, mono, in [-1, 1], as consecutive pieces. Call once."""
        self._process_pending()
        self._end_resampler()
        return self._mono

    def _process_pending(self) -> None:
        if not self._pending:
            return
        block = np.concatenate(self._pending, axis=1)
        self._pending, self._pending_samples = [], 0
        finite = np.isfinite(block)
        if not finite.all():
            self.non_finite_samples += int(block.size - np.count_nonzero(finite))
            block = np.where(finite, block, np.float32(0))
        self.peak = max(self.peak, float(np.abs(block).max(initial=0.0)))
        block = np.clip(block, -1, 1)
        if self._hear is not None:
            self._hear(block, self._rate_hz)
        mix = block[0] if len(block) == 1 else block.mean(axis=0, dtype=np.float32)
        self.statistics.add(block, mix, self._rate_hz)
        # After a change of layout the chosen channel may be gone; the mean is then the best that is left.
        chosen = mix if self._channel is None or self._channel >= len(block) else block[self._channel]
        assert self._resampler is not None
        self._keep(self._resampler.push(chosen))

    def _end_resampler(self) -> None:
        if self._resampler is not None:
            self._keep(self._resampler.finish())
            self._resampler = None

    def _keep(self, samples: Float32Array) -> None:
        if len(samples):
            self._mono.append(np.clip(samples, -1, 1))
