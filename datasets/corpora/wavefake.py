"""WaveFake."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from ...core.cliprecord import SpeechKind
from ...core.records import Row
from .corpus import Corpus, CorpusRow, Facts, Needed
from .inventory import AUDIO_SUFFIXES, Counts
from .registry import CORPORA

FOLDERS: dict[str, tuple[str, str, SpeechKind]] = {
    "common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech": (
        "Conformer FastSpeech2 + Parallel WaveGAN",
        "Parallel WaveGAN",
        "tts",
    ),
    "jsut_multi_band_melgan": ("Multi-band MelGAN", "MelGAN", "vocoder-copy-synthesis"),
    "jsut_parallel_wavegan": ("Parallel WaveGAN", "Parallel WaveGAN", "vocoder-copy-synthesis"),
    "ljspeech_full_band_melgan": ("Full-band MelGAN", "MelGAN", "vocoder-copy-synthesis"),
    "ljspeech_hifiGAN": ("HiFi-GAN", "HiFi-GAN", "vocoder-copy-synthesis"),
    "ljspeech_melgan": ("MelGAN", "MelGAN", "vocoder-copy-synthesis"),
    "ljspeech_melgan_large": ("MelGAN large", "MelGAN", "vocoder-copy-synthesis"),
    "ljspeech_multi_band_melgan": ("Multi-band MelGAN", "MelGAN", "vocoder-copy-synthesis"),
    "ljspeech_parallel_wavegan": ("Parallel WaveGAN", "Parallel WaveGAN", "vocoder-copy-synthesis"),
    "ljspeech_waveglow": ("WaveGlow", "WaveGlow", "vocoder-copy-synthesis"),
}
"""Generator, family (by vocoder) and kind of what lies in each folder of the release."""


@CORPORA.register("wavefake")
class WaveFake(Corpus):
    """Fakes only: LJSpeech and JSUT resynthesised by vocoders, and one text-to-speech set in the voice of LJSpeech.

    Layout: `generated_audio/` with one folder per set, named as in `FOLDERS`, and the clips flat in it, such as
    `ljspeech_melgan/LJ001-0001_gen.wav`. Parts are the folders; there are no splits.

    Traps: the text-to-speech folder holds a second copy of its clips in a folder `generated`, which is not read
    and shows as unlisted; and every sentence of LJSpeech stands in seven folders, so split by sentence, not by clip.

    Source: Frank and Schönherr, 2021; counts per folder are those of the corpora that were resynthesised. The
    paper has 117,985 clips in all, which would be 16,285 of text-to-speech; a count by others has 16,283, so that
    folder is not compared.
    """

    facts = Facts(
        title="WaveFake",
        what="fakes only, 7 vocoders on LJSpeech and JSUT, and one TTS",
        citation="Frank and Schönherr, WaveFake: A data set to facilitate audio deepfake detection, NeurIPS Datasets "
        "and Benchmarks 2021 (arXiv:2111.02813)",
        year=2021,
        licence="CC BY-SA 4.0",
        home="https://zenodo.org/records/5642694",
        hours=196.0,
    )
    parts = tuple(FOLDERS)
    nested = ("generated_audio",)
    published: ClassVar = {
        part: Counts(13_100, 0, 13_100, 1) if part.startswith("ljspeech") else Counts(5_000, 0, 5_000, 1)
        for part in parts
        if not part.startswith("common_voices")
    }

    def needs(self, part: str) -> tuple[Needed, ...]:
        """The folder."""
        return ((part,),)

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """The folder."""
        return (base / part,)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """In the order of the file names."""
        generator, family, kind = FOLDERS[part]
        source, speaker, language = ("JSUT", "JSUT", "ja") if part.startswith("jsut") else ("LJSpeech", "LJ", "en")
        for path in sorted((base / part).iterdir()):
            if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".") and path.is_file():
                row = Row(
                    clip_id=f"{part}/{path.stem}",
                    path=f"{part}/{path.name}",
                    label="spoof",
                    generator=generator,
                    family=family,
                    kind=kind,
                    speaker=speaker,
                    source=source,
                    licence=self.facts.licence,
                )
                yield CorpusRow(row, language=language)
