"""The one level at which networks hear speech, so that a copy does not depend on how loud the recording is."""

LEVEL_RMS = 0.06
"""Root mean square over a whole clip, of full scale."""
