"""Covo-Audio's decoder as a whole: speech tokens, a voice prompt and noise to sound at 24 kHz.

The voice prompt's tokens stand before the clip's own, and its latents are given as known; the flow makes latents for
both, the prompt's are dropped, and the vocoder makes sound of the rest (Tencent/Covo-Audio, commit 710384c). A
released prompt has 3 latents more than 4 per token. They take the place of the clip's first three frames and are
dropped with the others, so that n tokens give 4 n - 3 frames. `latents` and `waveform` do just that. `decode` puts the
missing 30 ms back as silence, in front: the sound is the official one, n tokens give n / 25 s, and token i is heard
from sample 960 i on.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ....core.errors import InputError, UsageError
from ....core.records import Audio, Float32Array, Tokens
from ..config import DecoderConfig
from .flow import FlowClip, FlowTransformer
from .solver import Guidance, evaluation_times, solve
from .vocoder import Vocoder

Int64Array = npt.NDArray[np.int64]

NO_TOKEN = -1
"""An id that stands for no token: its features are those of a zero vector."""
BATCH_FRAMES = 16_384
"""Latent frames of the flow that are worked on at once, prompts included: about 7 replies of 10 s."""
_LARGEST_SEED = 2**64 - 1


@dataclass(frozen=True)
class VoicePrompt:
    """What a voice sounds like. Tokens and latents come together; either pair, or the speaker, may be absent."""

    tokens: Int64Array | None = field(default=None, compare=False, repr=False)
    """(P,)"""
    latents: Float32Array | None = field(default=None, compare=False, repr=False)
    """(factor * P + surplus, latent width), normalised."""
    speaker: Float32Array | None = field(default=None, compare=False, repr=False)
    """(speaker width,); absent: zeros."""

    def __post_init__(self) -> None:
        """Raises `InputError` for tokens without latents, or latents without tokens."""
        if (self.tokens is None) != (self.latents is None):
            raise InputError("a voice prompt needs tokens and latents, or neither")

    @property
    def token_count(self) -> int:
        """P, or 0."""
        return 0 if self.tokens is None else len(self.tokens)

    @property
    def frame_count(self) -> int:
        """Latents that are given, the surplus included."""
        return 0 if self.latents is None else len(self.latents)


class CovoDecoder:
    """A `TokenDecoder` for the voices of a checkpoint."""

    def __init__(
        self,
        config: DecoderConfig,
        flow: FlowTransformer,
        vocoder: Vocoder,
        latent_mean: Tensor,
        latent_variance: Tensor,
        voices: Mapping[str, VoicePrompt],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        vocoder_dtype: torch.dtype = torch.float32,
        tf32: bool = False,
        batch_frames: int = BATCH_FRAMES,
    ) -> None:
        """Takes the modules over: they are moved to `device`, the flow's layers to `dtype`.

        `latent_mean` and `latent_variance` (latent width,) undo the normalisation of the latents. `tf32`: let an
        NVIDIA GPU round the factors of float32 products. `batch_frames` bounds the memory of `decode_many`.
        """
        self.config, self.voices = config, voices
        self.device = torch.device(device)
        self.flow = flow.to(self.device).requires_grad_(False).eval()
        self.flow.set_compute_dtype(dtype)
        self.vocoder = vocoder.to(self.device, vocoder_dtype).requires_grad_(False).eval()
        self._vocoder_dtype, self._tf32, self._batch_frames = vocoder_dtype, tf32, batch_frames
        self._mean = latent_mean.to(self.device, torch.float32)
        self._deviation = latent_variance.to(self.device, torch.float32).sqrt()

    def decode(self, tokens: Tokens, *, voice: str, seed: int) -> Audio:
        """`n` tokens give n * 960 samples at 24 kHz in [-1, 1]; `seed` draws the noise.

        Raises `UsageError` for an unknown voice or a seed that cannot be, `InputError` for no tokens, or for ids of
        another codec.
        """
        return self.decode_many([tokens], voices=[voice], seeds=[seed])[0]

    def decode_many(self, tokens: Sequence[Tokens], *, voices: Sequence[str], seeds: Sequence[int]) -> list[Audio]:
        """Each clip as `decode` gives it alone, up to rounding; those of one voice are worked on together."""
        if not len(tokens) == len(voices) == len(seeds):
            raise UsageError(f"{len(tokens)} clips need as many voices ({len(voices)}) and seeds ({len(seeds)})")
        ids = [self.checked_ids(clip) for clip in tokens]
        prompts = [self.voice(name) for name in voices]
        noises = [
            self.noise(seed, prompt.token_count + len(clip))
            for seed, prompt, clip in zip(seeds, prompts, ids, strict=True)
        ]
        sounds: dict[int, Audio] = {}
        for batch in self._batches(voices, noises):
            voice = prompts[batch[0]]
            latents = self.latents_many([ids[i] for i in batch], voice, [noises[i] for i in batch])
            for i, made in zip(batch, latents, strict=True):
                samples = np.concatenate([self.silence(voice), self.waveform(made, voice)])
                sounds[i] = Audio(samples, self.config.rate_hz)
        return [sounds[i] for i in range(len(tokens))]

    def voice(self, name: str) -> VoicePrompt:
        """The voice prompt of that name. Raises `UsageError`."""
        if name not in self.voices:
            known = f"its voices are {', '.join(sorted(self.voices))}" if self.voices else "it has none"
            raise UsageError(f"the checkpoint has no voice {name!r}; {known}")
        return self.voices[name]

    def noise(self, seed: int, tokens: int) -> Tensor:
        """Noise (tokens * factor, latent width) on the CPU; the same seed gives more tokens the same beginning."""
        if not 0 <= seed <= _LARGEST_SEED:
            raise UsageError(f"the seed is {seed}; give a number from 0 to {_LARGEST_SEED}")
        shape = self.config.flow
        generator = torch.Generator("cpu").manual_seed(seed)
        # one draw per token: a longer draw need not begin with a shorter one
        draws = [torch.randn(shape.upsample_factor, shape.latent_width, generator=generator) for _ in range(tokens)]
        return torch.cat(draws)

    def latents(self, ids: Int64Array, voice: VoicePrompt, noise: Tensor) -> Tensor:
        """Normalised latents (t, latent width) of prompt and clip, as the official decoder's equation ends.

        `ids` (n,) of the clip, `NO_TOKEN` among them for none; `noise` (t, latent width), t = factor * (P + n).
        """
        return self.latents_many([ids], voice, [noise])[0]

    @torch.inference_mode()
    def latents_many(self, ids: Sequence[Int64Array], voice: VoicePrompt, noises: Sequence[Tensor]) -> list[Tensor]:
        """As `latents` for many clips of one voice, all at once."""
        steps, guidance = self.config.steps, Guidance(self.config.guidance, self.config.rescale)
        with _products_in(self._tf32):
            clips = [self.clip(clip, voice) for clip in ids]
            plan = self.flow.plan(clips, self._speaker(voice), evaluation_times(steps))
            noise = torch.cat(list(noises)).to(self.device, torch.float32)
            *_, latents = solve(self.flow, plan, noise, steps, guidance)
        return [latents[start:end] for start, end in plan.frames.spans]

    @torch.inference_mode()
    def vocoder_input(self, latents: Tensor, voice: VoicePrompt) -> Tensor:
        """Latents of `latents` to (1, latent width, frames): no longer normalised, and without the prompt's frames."""
        return (latents[voice.frame_count :] * self._deviation + self._mean).T[None]

    @torch.inference_mode()
    def waveform(self, latents: Tensor, voice: VoicePrompt, frames: range | None = None) -> Float32Array:
        """Latents of `latents` to the official sound: 240 samples for each frame after the prompt's.

        `frames`: only these of them, counted from the first after the prompt.
        """
        normal = self.vocoder_input(latents, voice).to(self._vocoder_dtype)
        with _products_in(self._tf32):
            sound = self.vocoder.render(normal, range(normal.shape[-1]) if frames is None else frames)
        samples: Float32Array = sound[0, 0].float().cpu().numpy()
        return samples

    def surplus_frames(self, voice: VoicePrompt) -> int:
        """Frames of the clip's beginning in whose place the prompt's surplus latents stand: 3 with a released one."""
        return voice.frame_count - self.config.flow.upsample_factor * voice.token_count

    def silence(self, voice: VoicePrompt) -> Float32Array:
        """What `decode` puts before the official sound: zeros for the surplus frames."""
        return np.zeros(self.surplus_frames(voice) * self.config.vocoder.hop_samples, dtype=np.float32)

    def clip(self, ids: Int64Array, voice: VoicePrompt) -> FlowClip:
        """What the flow is told of one clip and the prompt before it. Raises `InputError` for an unfit prompt."""
        before = np.zeros(0, dtype=np.int64) if voice.tokens is None else voice.tokens
        features = self.flow.token_features(torch.tensor(np.concatenate([before, ids])).to(self.device))
        surplus = self.surplus_frames(voice)
        if not 0 <= surplus < self.config.flow.upsample_factor * len(ids):
            raise InputError(
                f"the voice prompt has {voice.frame_count} latents for {voice.token_count} tokens, and the clip "
                f"{len(ids)} tokens; latents must be {self.config.flow.upsample_factor} per token or a few more"
            )
        known = torch.zeros(0, self.config.flow.latent_width)
        if voice.latents is not None:
            known = torch.tensor(voice.latents)
        known = F.pad(known.to(self.device, torch.float32), (0, 0, 0, len(features) - len(known)))
        return FlowClip(features, known)

    def _speaker(self, voice: VoicePrompt) -> Tensor:
        if voice.speaker is None:
            return torch.zeros(self.config.flow.speaker_width, device=self.device)
        return torch.tensor(voice.speaker).to(self.device, torch.float32)

    def checked_ids(self, tokens: Tokens) -> Int64Array:
        """The ids, if there are any and all are of this decoder's codec or `NO_TOKEN`. Raises `InputError`.

        The official code lets the id `codebook_size` pass, and then fails.
        """
        size, ids = self.config.flow.token_vocab_size, np.asarray(tokens.ids).astype(np.int64)
        if not len(ids):
            raise InputError("there are no speech tokens to decode: the reply holds no sound")
        if tokens.codebook_size != size:
            raise InputError(f"tokens of a codec with {tokens.codebook_size} codes; this decoder has {size}")
        if ids.min() < NO_TOKEN or ids.max() >= size:
            wrong = ids[(ids < NO_TOKEN) | (ids >= size)][0]
            raise InputError(f"{wrong} is no speech token; ids must lie between 0 and {size - 1}, or be -1 for none")
        return ids

    def _batches(self, voices: Sequence[str], noises: Sequence[Tensor]) -> Iterator[list[int]]:
        """Indices of clips of one voice, of like length, that fit in `batch_frames` together."""
        batch: list[int] = []
        frames = 0
        for i in sorted(range(len(voices)), key=lambda i: (voices[i], len(noises[i]))):
            if batch and (voices[i] != voices[batch[0]] or frames + len(noises[i]) > self._batch_frames):
                yield batch
                batch, frames = [], 0
            batch.append(i)
            frames += len(noises[i])
        if batch:
            yield batch


@contextmanager
def _products_in(tf32: bool) -> Iterator[None]:
    """Set how an NVIDIA GPU multiplies float32 numbers, and set it back."""
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "tf32" if tf32 else "ieee"
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision
