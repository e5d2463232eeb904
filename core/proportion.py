"""What a count says about the proportion behind it."""

CONFIDENCE = 0.95
"""Of the one-sided upper limits."""


def upper_limit(count: int, trials: int) -> float:
    """The largest proportion that `count` hits in `trials` independent trials leave credible, one-sided 95 %.

    Exact (Clopper and Pearson 1934): at any larger proportion so few hits have a probability below 5 %. 1.0 where
    nothing was tried.
    """
    if count >= trials:
        return 1.0
    if count == 0:
        return float(1.0 - (1.0 - CONFIDENCE) ** (1.0 / trials))
    from scipy.stats import beta

    return float(beta.ppf(CONFIDENCE, count + 1, trials - count))
