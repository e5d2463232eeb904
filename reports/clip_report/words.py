"""What findings mean and do not mean, in words for whoever acts on them."""

from collections.abc import Mapping

from ...core.records import VerdictLabel

HEADLINES: Mapping[VerdictLabel, tuple[str, str]] = {
    "synthetic": (
        "Evidence of generated speech",
        "The evidence below is enough, under the policy named here, to call this clip synthetic.",
    ),
    "inconclusive": (
        "Undecided",
        "The evidence speaks neither clearly for nor clearly against generated speech. Treat the clip as undecided.",
    ),
    "no_evidence": (
        "No evidence of generated speech",
        "Nothing that was looked for was found. This is not proof of a human voice.",
    ),
    "not_analysable": (
        "Could not be analysed",
        "Nothing can be said of this clip, neither for nor against generated speech.",
    ),
}
"""Of each verdict: a headline, and what it comes to."""

NOT_LOOKED_FOR = "Not looked for"
NOTHING_FOLLOWS = "Nothing follows from it, in either direction."
NO_RATE = "No error rate: nothing was measured."

MARK_MEANS: Mapping[str, str] = {
    "present": "At least the spans listed below were sampled by the marked model under that key.",
    "absent": "This sound gives no evidence of a mark of the keys that were tested.",
    "not_checked": NOTHING_FOLLOWS,
}
MARK_DOES_NOT_MEAN: Mapping[str, str] = {
    "present": "It says nothing of the rest of the recording, nor that the message is authentic: marked speech can be "
    "cut out and put elsewhere.",
    "absent": "It does not mean that a person spoke: other generators and other keys leave no such mark, and "
    "processing can destroy one.",
    "not_checked": "It does not mean that there is no mark.",
}

WAVEFORM_MEANS: Mapping[str, str] = {
    "detected": "The sound carries this mark: a tool that puts it on has handled it.",
    "inconclusive": "There is more than unmarked sound gives, and too little to act on.",
    "not_detected": "This mark was looked for and is not there.",
    "not_checked": NOTHING_FOLLOWS,
}
NO_WAVEFORM_MARK = "It does not mean that a person spoke: most generators put no such mark on."
NOT_NONE = "It does not mean that there is none."
"""Of what was not looked for, or could not be."""

CREDENTIALS_MEAN: Mapping[str, str] = {
    "trusted": "A signer for whom a trust list of yours vouches asserts this about these very bytes.",
    "valid_untrusted": "Somebody signed this statement over these very bytes; no trust list of yours vouches for them.",
    "invalid": "The file was changed after it was signed, or its credentials were.",
    "absent": "Most tools drop credentials: this is the normal state of honest recordings.",
    "unreadable": "There are credentials, and what they say cannot be read.",
    "sidecar": "The statement lies beside the file.",
    "recovered": "A mark in the sound leads to the statement about the file that was signed, which this one is not.",
    "not_checked": NOTHING_FOLLOWS,
}
CREDENTIALS_DO_NOT_MEAN = (
    "A signature says who asserts something, not that it is true. That there is none says nothing of the recording."
)

NOT_SCORED = "There is no score, so it says nothing for or against generated speech."
SCORE_DOES_NOT_MEAN = (
    "It is not the probability that this clip is generated: that also depends on how common generated speech is where "
    "the clip comes from. Generators that the detector never saw can score low, and odd recordings high."
)


def ratio_text(log10_lr: float) -> str:
    """What a likelihood ratio says, for both directions."""
    times = _rounded(10.0 ** min(abs(log10_lr), 6.0))
    if times <= 1.1:
        return "Generated and genuine speech give such a score about equally often, on recordings like those known."
    more, less = ("generated", "genuine") if log10_lr > 0 else ("genuine", "generated")
    about = "more than" if abs(log10_lr) > 6 else "about"
    return (
        f"On recordings like those that the detector was calibrated on, {more} speech gives such a score {about} "
        f"{times:,g} times as often as {less} speech does."
    )


def power_of_ten(log10: float) -> str:
    """A small probability, as a power of ten."""
    return "1" if log10 >= 0 else f"10^{log10:.1f}"


def _rounded(value: float) -> float:
    """To two significant digits."""
    return float(f"{value:.2g}")
