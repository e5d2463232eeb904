"""The page about the public corpora: made from their readers, so that it says what they do.

`python -c "from covoguard.pipeline.corpora_page import corpora_page; print(corpora_page(), end='')" > docs/corpora.md`
writes it anew; a test compares the two.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..datasets.corpora import CORPORA, Corpus, Counts
from ..reports.markdown import bullets, table

_OWN = ("folder", "csv")
"""Readers of whatever the user has; no corpora."""
_INTRODUCTION = """# Public corpora

covoguard reads these corpora where they lie on your disk, as they are released; it downloads none. The facts below come
from the readers themselves (`datasets/corpora/`), each with its source; what could not be confirmed says so. A licence
here is a pointer and no advice: read the one in your download.

```
covoguard dataset corpora list                                         # what can be read
covoguard dataset corpora check in-the-wild corpora/in-the-wild        # lists, files and published counts
covoguard dataset corpora manifest in-the-wild corpora/in-the-wild -o in-the-wild.csv
covoguard evaluate in-the-wild.csv --detector logband-resnet -o in-the-wild.html
```

`manifest` writes one line per clip; its folds are the corpus's own splits, or `all`. Corpora of one class need another
beside them: put their lines into one CSV (same columns) before `evaluate`, `train` or `dataset split`.

## What a label means

`bonafide` is speech of a person as the corpus has it, also where a codec or a telephone line is on top; `spoof` is
speech that a machine made or changed: text-to-speech, voice conversion, or the same words through a vocoder or codec.
A corpus may count a recording as bona fide that a detector has reason to flag: see the traps.

## Traps that many of them share

- **Silence at the ends.** In ASVspoof 2019 and 2021 bona fide clips have longer silence; the length of the leading one
  alone gives an EER of 15.1 % (Müller et al., arXiv:2106.12914). `covoguard dataset check` probes for it.
- **One class, one recording chain.** Fakes alone (MLAAD, WaveFake) or genuine speech alone (LibriSpeech, VCTK,
  LJSpeech, Common Voice) say nothing about a detector; with the wrong other class they measure sample rates and codecs.
- **The same voices in several corpora.** LJSpeech, VCTK and LibriVox readers stand behind many fakes. `source` and
  `speaker` have the same names in all readers, so `covoguard dataset split` keeps them together.
- **Trained on the test.** The released AASIST, RawNet2 and LCNN were trained on ASVspoof 2019 LA, and AntiDeepfake
  checkpoints on most sets here (ASVspoof 2019, 2021 and 5, MLAAD, SpoofCeleb, and sets made from LibriTTS, VoxCeleb or
  MLS, as their model cards say). Their figures on these corpora are no test.
"""


@dataclass(frozen=True)
class Guide:
    """What a user must do and know that the reader does not need: the download, the other class, what misleads."""

    download: str
    beside: str = "both classes are there"


GUIDES = {
    "asvspoof2019-la": Guide("`LA.zip` from the page of the release"),
    "asvspoof2021-la": Guide(
        "the archive of the home page, and the keys, `LA-keys-full.tar.gz` from www.asvspoof.org/asvspoof2021"
    ),
    "asvspoof2021-df": Guide(
        "the four archives of the home page, unpacked into one folder, and the keys, `DF-keys-full.tar.gz` from "
        "www.asvspoof.org/asvspoof2021"
    ),
    "asvspoof5": Guide("`flac_T_*.tar`, `flac_D_*.tar`, `flac_E_*.tar` and `ASVspoof5_protocols.tar.gz`"),
    "in-the-wild": Guide("`release_in_the_wild.zip`, also at huggingface.co/datasets/mueller91/In-The-Wild"),
    "mlaad": Guide(
        "the folder `fake`, also at huggingface.co/datasets/mueller91/MLAAD",
        "bona fide speech is needed beside it: M-AILABS, from which its texts and voices come",
    ),
    "wavefake": Guide(
        "`generated_audio.zip`",
        "bona fide speech is needed beside it: LJSpeech (reader `ljspeech`) and JSUT, whose sentences these are",
    ),
    "fake-or-real": Guide("one of the four versions, such as `for-norm.tar.gz`"),
    "spoofceleb": Guide("the archives at huggingface.co/datasets/jungjee/spoofceleb, to which the home page leads"),
    "librispeech": Guide("the subsets that you need, such as `dev-clean.tar.gz`", "spoofs are needed beside it"),
    "vctk": Guide("`VCTK-Corpus-0.92.zip`", "spoofs are needed beside it, such as those of ASVspoof 2019 LA"),
    "ljspeech": Guide("`LJSpeech-1.1.tar.bz2`", "spoofs are needed beside it, such as WaveFake"),
    "common-voice": Guide("the archive of one language", "spoofs are needed beside it"),
}


def corpora_page() -> str:
    """The whole page, as Markdown."""
    names = [name for name in CORPORA.names() if name not in _OWN]
    return "\n".join([_INTRODUCTION, *(part for name in names for part in _about(name, CORPORA.get(name)))])


def _about(name: str, corpus: type[Corpus]) -> Iterator[str]:
    facts, guide = corpus.facts, GUIDES[name]
    hours = f"{facts.hours:,.1f}" if facts.hours is not None else "not stated"
    yield f"## {facts.title} (`{name}`)\n"
    yield bullets(
        [
            f"licence: {facts.licence}; hours: {hours}; year: {facts.year}",
            f"home: <{facts.home}>",
            f"download: {guide.download}",
            f"other class: {guide.beside}",
            f"cite: {facts.citation}",
        ]
    )
    yield ""
    yield inspect.cleandoc(corpus.__doc__ or "") + "\n"
    if corpus.published:
        header = ["part", "clips", "bona fide", "spoof", "speakers"]
        yield table(header, [_counts(part, counts) for part, counts in corpus.published.items()]) + "\n"


def _counts(part: str, counts: Counts) -> list[str]:
    numbers = (counts.utterances, counts.bonafide, counts.spoof, counts.speakers)
    return [re.sub(r"(_)", r"\\\1", part), *("not compared" if number is None else f"{number:,}" for number in numbers)]
