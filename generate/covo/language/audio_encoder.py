"""The model's ear: Whisper's encoder, and the adapter to the width and rate of the language model.

Names of modules equal those of the official checkpoint (Tencent/Covo-Audio, commit 710384c): `encoder.*` and
`audio_adapter.*`.
"""

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from ..checkpoint.expected_keys import ADAPTER_INNER_WIDTH
from ..config import EncoderShape


def whisper_encoder(shape: EncoderShape) -> Any:
    """The encoder of Whisper (Radford et al. 2022, through transformers), fused attention, weights as they come.

    Log-mel (b, mel_bins, 2 * max_positions) in, `.last_hidden_state` (b, max_positions, width) out.
    """
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    # transformers hides from type checkers that every configuration takes `attn_implementation`
    config: Any = WhisperConfig
    return WhisperEncoder(
        config(
            num_mel_bins=shape.mel_bins,
            d_model=shape.width,
            encoder_layers=shape.layers,
            encoder_attention_heads=shape.heads,
            encoder_ffn_dim=shape.ffn_width,
            max_source_positions=shape.max_positions,
            activation_function="gelu",
            attn_implementation="sdpa",
        )
    )


class AudioAdapter(nn.Module):
    """Stages that each halve the rate; the last one goes to the width of the language model."""

    def __init__(self, width: int, hidden_size: int, stages: int) -> None:
        """From frames of `width` to rows of `hidden_size`, 2 ** stages frames in one."""
        super().__init__()
        widths = [width] * stages + [hidden_size]
        self.downsample_layers = nn.ModuleList(AdapterStage(before, after) for before, after in pairwise(widths))

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (b, n, width) -> rows (b, n / 2 ** stages rounded up, hidden_size)."""
        for stage in self.downsample_layers:
            frames = stage(frames)
        return frames


class AdapterStage(nn.Module):
    """A strided convolution, then two linear layers."""

    def __init__(self, width: int, out_width: int) -> None:
        """The convolution keeps the width, the last layer changes it."""
        super().__init__()
        self.conv1d = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        self.linear1 = nn.Linear(width, ADAPTER_INNER_WIDTH)
        self.linear2 = nn.Linear(ADAPTER_INNER_WIDTH, out_width)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (b, n, width) -> (b, n / 2 rounded up, out_width)."""
        halved = self.conv1d(frames.transpose(1, 2)).transpose(1, 2).relu()
        rows: Tensor = self.linear2(self.linear1(halved).relu())
        return rows
