"""LFCC-LCNN-LSTM: a light CNN with max feature maps over linear cepstra, and two recurrent layers.

Wang and Yamagishi, "A comparative study on recent neural spoofing countermeasures for synthetic speech detection",
Interspeech 2021 (arXiv 2103.11326); layers and front end as in nii-yamagishilab/project-NN-Pytorch-scripts @ 112ec0f,
project/04-asvspoof2021-toy (BSD-3, Copyright (c) 2022 Xin Wang), whose weights load unchanged.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.rates import DETECTOR_RATE_HZ

FRAME_SAMPLES, HOP_SAMPLES, FFT_SAMPLES = 320, 160, 512
COEFFICIENTS = 20
PRE_EMPHASIS = 0.97
FLOOR = torch.finfo(torch.float32).eps
FEATURES = 3 * COEFFICIENTS
"""Coefficients with first and second differences."""
POOLED = 16
"""Four poolings by two, over frames and over features."""
WIDTH = FEATURES // POOLED * 32
"""Of each frame after the last convolution: 32 channels times what is left of the features."""
DROPOUT = 0.7
UNUSED_KEYS = ("input_mean", "input_std", "output_mean", "output_std")
"""In the released files, never read by the network there either."""


class Lcnn(nn.Module):
    """The network from samples to one number before the sigmoid; higher is more bona fide."""

    def __init__(self) -> None:
        """Random weights."""
        super().__init__()
        # lists of one: the original can hold several front ends
        self.m_frontend = nn.ModuleList([Lfcc()])
        self.m_transform = nn.ModuleList([_light_cnn()])
        self.m_before_pooling = nn.ModuleList([nn.Sequential(BothWays(WIDTH), BothWays(WIDTH))])
        self.m_output_act = nn.ModuleList([nn.Linear(WIDTH, 1)])

    def forward(self, samples: Tensor) -> Tensor:
        """16 kHz samples (b, n), n >= 2400 for one frame after pooling -> (b,)."""
        maps = self.m_transform[0](self.m_frontend[0](samples)[:, None])
        frames = maps.transpose(1, 2).flatten(2)  # (b, frames // 16, channels * features // 16)
        score: Tensor = self.m_output_act[0]((self.m_before_pooling[0](frames) + frames).mean(dim=1))
        return score[:, 0] if score.shape[1] == 1 else score  # a squeeze is a branch in an exported graph


class Lfcc(nn.Module):
    """Linear frequency cepstra of the ASVspoof 2021 baseline: pre-emphasis, log energy first, two differences.

    Filters and cosines are kept as weights, because the released files hold them.
    """

    lfcc_fb: Tensor

    def __init__(self) -> None:
        """Triangles of equal width from 0 Hz to 8 kHz, and the orthonormal DCT-II."""
        super().__init__()
        self.register_buffer("lfcc_fb", _triangles())
        self.l_dct = nn.Linear(COEFFICIENTS, COEFFICIENTS, bias=False)
        self.l_dct.weight = nn.Parameter(_cosines(), requires_grad=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Samples (b, n) -> (b, n // 160 + 1, 60)."""
        emphasised = torch.cat([samples[:, :1], samples[:, 1:] - PRE_EMPHASIS * samples[:, :-1]], dim=1)
        power = _power_for_graphs(emphasised) if torch.onnx.is_in_onnx_export() else _power(emphasised)
        cepstrum = self.l_dct(torch.log10(power @ self.lfcc_fb + FLOOR))
        energy = torch.log10(power.sum(dim=2, keepdim=True) / FFT_SAMPLES + FLOOR)
        static = torch.cat([energy, cepstrum[:, :, 1:]], dim=2)
        slope = _difference(static)
        return torch.cat([static, slope, _difference(slope)], dim=2)


def _power(samples: Tensor) -> Tensor:
    """Samples (b, n) -> power of a centred Hamming window's spectrum (b, n // 160 + 1, 257)."""
    window = torch.hamming_window(FRAME_SAMPLES, device=samples.device)
    spectrum = torch.stft(
        samples, FFT_SAMPLES, HOP_SAMPLES, FRAME_SAMPLES, window, pad_mode="constant", return_complex=True
    )
    return spectrum.abs().square().transpose(1, 2)


def _power_for_graphs(samples: Tensor) -> Tensor:
    """The same without complex numbers, which no ONNX graph holds: one convolution with cosines and sines."""
    margin = (FFT_SAMPLES - FRAME_SAMPLES) // 2
    window = nn.functional.pad(torch.hamming_window(FRAME_SAMPLES, dtype=torch.float64), (margin, margin))
    turns = torch.outer(torch.arange(FFT_SAMPLES // 2 + 1), torch.arange(FFT_SAMPLES)) % FFT_SAMPLES
    angle = turns.double() * (2 * torch.pi / FFT_SAMPLES)
    rows = torch.cat([torch.cos(angle), torch.sin(angle)]) * window
    padded = nn.functional.pad(samples[:, None], (FFT_SAMPLES // 2, FFT_SAMPLES // 2))
    real, imaginary = nn.functional.conv1d(padded, rows[:, None].float(), stride=HOP_SAMPLES).chunk(2, dim=1)
    return (real.square() + imaginary.square()).transpose(1, 2)


class MaxFeatureMap(nn.Module):
    """The larger of channel k and channel k + half of them (Wu et al., arXiv 1511.02683)."""

    def forward(self, maps: Tensor) -> Tensor:
        """(b, 2 c, frames, features) -> (b, c, frames, features)."""
        return torch.maximum(*maps.chunk(2, dim=1))


class BothWays(nn.Module):
    """An LSTM over time in both directions."""

    def __init__(self, width: int) -> None:
        """Half of `width` for each direction."""
        super().__init__()
        self.l_blstm = nn.LSTM(width, width // 2, bidirectional=True, batch_first=True)

    def forward(self, frames: Tensor) -> Tensor:
        """(b, frames, width) -> the same shape."""
        heard: Tensor = self.l_blstm(frames)[0]
        return heard


def _light_cnn() -> nn.Sequential:
    """Table 1 of the paper: (b, 1, frames, 60) -> (b, 32, frames // 16, 3)."""
    return nn.Sequential(
        *_convolution(1, 32, 5),
        nn.MaxPool2d(2),
        *_convolution(32, 32, 1),
        _norm(32),
        *_convolution(32, 48, 3),
        nn.MaxPool2d(2),
        _norm(48),
        *_convolution(48, 48, 1),
        _norm(48),
        *_convolution(48, 64, 3),
        nn.MaxPool2d(2),
        *_convolution(64, 64, 1),
        _norm(64),
        *_convolution(64, 32, 3),
        _norm(32),
        *_convolution(32, 32, 1),
        _norm(32),
        *_convolution(32, 32, 3),
        nn.MaxPool2d(2),
        nn.Dropout(DROPOUT),
    )


def _convolution(width_in: int, width_out: int, size: int) -> tuple[nn.Module, nn.Module]:
    """A convolution that keeps the shape, and the maximum over its halves."""
    return nn.Conv2d(width_in, 2 * width_out, size, padding=size // 2), MaxFeatureMap()


def _norm(width: int) -> nn.Module:
    return nn.BatchNorm2d(width, affine=False)


def _difference(values: Tensor) -> Tensor:
    """The next frame less the last one; the edges repeat: (b, frames, c) -> the same shape."""
    padded = functional.pad(values.transpose(1, 2), (1, 1), mode="replicate").transpose(1, 2)
    return padded[:, 2:] - padded[:, :-2]


def _triangles() -> Tensor:
    """(257, 20): overlapping, equally spaced."""
    bins_hz = torch.linspace(0, DETECTOR_RATE_HZ / 2, FFT_SAMPLES // 2 + 1)[:, None]
    edges_hz = torch.linspace(0, DETECTOR_RATE_HZ / 2, COEFFICIENTS + 2)
    rising = (bins_hz - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])
    return torch.minimum(rising, falling).clamp(min=0)


def _cosines() -> Tensor:
    """(20, 20): row k is the orthonormal DCT-II's k-th cosine."""
    order = torch.arange(COEFFICIENTS, dtype=torch.float64)
    cosines = torch.cos(torch.pi * order[:, None] * (2 * order + 1) / (2 * COEFFICIENTS))
    cosines *= (2 / COEFFICIENTS) ** 0.5
    cosines[0] *= 0.5**0.5
    return cosines.float()
