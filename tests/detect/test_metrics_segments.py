import pytest

from covoguard.core.records import ScoredSegment
from covoguard.detect.metrics.segments import LabelledSegment, SegmentTally, pooled, tally_segments
from covoguard.detect.metrics.trials import ScoresError

# Bona fide to 4 s, generated to 6 s, bona fide to 10 s.
LABELS = (LabelledSegment(0, 4, False), LabelledSegment(4, 6, True), LabelledSegment(6, 10, False))


def windows(*rows):
    return [ScoredSegment(*row) for row in rows]


def test_hand_worked_case_without_tolerance():
    # Flagged from 5 to 8 s: 1 s of the generated two is hit, 1 s missed, 2 s are false alarms, 6 s are rightly left.
    tally = tally_segments(LABELS, windows((0, 5, -1), (5, 8, 1), (8, 10, -1)), threshold=0.5, tolerance_s=0)
    assert tally == SegmentTally(1, 1, 2, 6, 0, 0)
    # Precision 1 / 3, recall 1 / 2, F1 2 * 1 / (2 * 1 + 1 + 2) = 0.4.
    assert (tally.precision, tally.recall, tally.f1) == pytest.approx((1 / 3, 1 / 2, 0.4))


def test_time_near_a_boundary_is_left_out():
    # 0.5 s on either side of 4 s and 6 s: 2 s less. Of the generated speech 4.5 to 5.5 s is left: half is flagged.
    tally = tally_segments(LABELS, windows((0, 5, -1), (5, 8, 1), (8, 10, -1)), threshold=0.5, tolerance_s=0.5)
    assert tally == SegmentTally(0.5, 0.5, 1.5, 5.5, 2.0, 0)


def test_the_mean_of_overlapping_windows_decides():
    # 2 to 4 s have 1 and -0.5: the mean 0.25 is flagged at 0.25 (at or above). Before, 1 is; after, -0.5 is not.
    labels = [LabelledSegment(0, 6, True)]
    tally = tally_segments(labels, windows((0, 4, 1), (2, 6, -0.5)), threshold=0.25, tolerance_s=0.25)
    assert tally == SegmentTally(4, 2, 0, 0, 0, 0)  # nothing is left out: the class does not change


def test_time_without_windows_is_never_flagged_and_time_without_label_counts_nowhere():
    labels = [LabelledSegment(0, 2, True), LabelledSegment(4, 5, False)]
    tally = tally_segments(labels, windows((1, 4.5, 9)), threshold=0, tolerance_s=0.25)
    assert tally == SegmentTally(1, 1, 0.5, 0.5, 0, 1.5)


def test_undefined_is_none_and_nothing_found_is_not():
    genuine = tally_segments([LabelledSegment(0, 2, False)], windows((0, 2, -1)), threshold=0, tolerance_s=0)
    assert (genuine.precision, genuine.recall, genuine.f1) == (None, None, None)
    missed = tally_segments([LabelledSegment(0, 2, True)], windows((0, 2, -1)), threshold=0, tolerance_s=0)
    assert (missed.precision, missed.recall, missed.f1) == (None, 0.0, 0.0)
    assert pooled([]) == SegmentTally()


def test_pooling_counts_every_second_alike():
    assert pooled([SegmentTally(1, 2, 3, 4, 5, 6), SegmentTally(10, 0, 0, 0, 0, 1)]) == SegmentTally(11, 2, 3, 4, 5, 7)


@pytest.mark.parametrize(
    ("labels", "tolerance_s"),
    [
        ([LabelledSegment(0, 2, True), LabelledSegment(1, 3, False)], 0.0),
        ([LabelledSegment(2, 2, True)], 0.0),
        ([LabelledSegment(0, 2, True)], -0.1),
    ],
)
def test_impossible_labels_are_errors(labels, tolerance_s):
    with pytest.raises(ScoresError):
        tally_segments(labels, [], threshold=0, tolerance_s=tolerance_s)
