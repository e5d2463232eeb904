"""The released weights that covoguard knows, told by their content: where they are from, and what is known of them.

Figures are equal error rates in per cent. Those of covoguard's own runs are on 168 clips (AASIST) or 1,297 clips
(LCNN) from public demonstration pages, first 4 s of each, with bootstrap intervals over generators and voices.
"""

from dataclasses import dataclass

ASVSPOOF_2019 = "ASVspoof 2019 LA, train partition: VCTK speech and six generators, all from before 2019"
AASIST_LICENCE = "MIT (NAVER Corp.); the training data has terms of its own"
_AASIST_SOURCE = "github.com/clovaai/aasist @ a04c986, models/weights"
_ARENA = "huggingface.co/SpeechAntiSpoofingBenchmarks: first 64,600 samples of each file"


@dataclass(frozen=True)
class Figure:
    """One equal error rate, with its source."""

    test_set: str
    eer_percent: float
    source: str


@dataclass(frozen=True)
class Release:
    """Published weights of a detector."""

    id: str
    source: str
    licence: str
    trained_on: str
    figures: tuple[Figure, ...]


RELEASES = {
    "12b017f08c901c4bc0813273e3f3119e55c4344dc75f42bad8dcfd0be294d59c": Release(
        "aasist-asvspoof2019",
        f"{_AASIST_SOURCE}/AASIST.pth",
        AASIST_LICENCE,
        ASVSPOOF_2019,
        (
            Figure("ASVspoof 2019 LA", 0.83, "Jung et al. 2022"),
            Figure("ASVspoof 2021 LA", 12.35, _ARENA),
            Figure("ASVspoof 2021 DF", 17.04, _ARENA),
            Figure("In-the-Wild", 43.01, _ARENA),
            Figure("CD-ADD", 51.05, _ARENA),
            Figure("168 clips of 39 generators", 50.6, "covoguard; 95 % CI 34.6 to 60.3"),
        ),
    ),
    "32a0d499ea7d5e2572d8768327c5738f53047f4848ca1953ae1afb805e15d0e0": Release(
        "aasist-l-asvspoof2019",
        f"{_AASIST_SOURCE}/AASIST-L.pth",
        AASIST_LICENCE,
        ASVSPOOF_2019,
        (
            Figure("ASVspoof 2019 LA", 0.99, "Jung et al. 2022"),
            Figure("ASVspoof 2021 LA", 13.15, _ARENA),
            Figure("ASVspoof 2021 DF", 15.96, _ARENA),
            Figure("In-the-Wild", 44.45, _ARENA),
            Figure("CD-ADD", 50.72, _ARENA),
            Figure("168 clips of 39 generators", 46.4, "covoguard; 95 % CI 31.4 to 59.7"),
        ),
    ),
    "88431e2db1e9aa87563e2cf828ed151bd6c505382a04d4c84681b4f6feb795ec": Release(
        "aasist-asvspoof5",
        "github.com/asvspoof-challenge/asvspoof5 @ fe23d30, Baseline-AASIST/models/weights/AASIST/best.pth",
        AASIST_LICENCE,
        "ASVspoof 5, train partition",
        (
            Figure("ASVspoof 5, validation", 15.2, "README of the source"),
            Figure("167 clips of 39 generators", 34.1, "covoguard; 95 % CI 25.3 to 53.3"),
        ),
    ),
    "d2be0eeebf8b40744c0b0dd150fc13572bfbe237700eae1affb9289c36116504": Release(
        "lfcc-lcnn-lstm-nii",
        "github.com/nii-yamagishilab/project-NN-Pytorch-scripts @ 112ec0f, project/04-asvspoof2021-toy",
        "BSD-3-Clause (Copyright (c) 2022 Xin Wang)",
        "not stated by its source",
        (Figure("1,297 clips of 46 generators", 37.0, "covoguard; 95 % CI 28.4 to 56.5"),),
    ),
}
"""By the digest of the weights (`networks/weights.py`), so that a converted file is known as well."""
