"""Levenshtein distance, for words and for phones."""

from collections.abc import Sequence


def edit_distance(given: Sequence[str], wanted: Sequence[str]) -> int:
    """Fewest substitutions, insertions and deletions that turn one sequence into the other."""
    row = list(range(len(wanted) + 1))
    for i, one in enumerate(given, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(wanted, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (one != other))
    return row[-1]
