"""File forensics: what a file's bytes, tags and samples tell of its history, as observations, never as a verdict.

Each module of `checks` holds one check: a class that hears the samples block by block, at the file's own rate and
channels, and at the end says what it saw. To add one, add a file there.
"""

from .examination import CHECKS, Examination, observation_kinds
from .exhibit import Check, Exhibit, Kind

__all__ = ["CHECKS", "Check", "Examination", "Exhibit", "Kind", "observation_kinds"]
