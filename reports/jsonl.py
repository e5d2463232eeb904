"""JSON Lines: one record per line, each written out as soon as it is known."""

from typing import BinaryIO

from ..core.credentialsrecord import CredentialsRecord, SigningRecord
from ..core.jsonrecord import json_line
from ..core.observationrecord import InspectRecord
from ..core.scanrecord import ScanRecord
from ..core.verifyrecord import VerifyRecord


class JsonLinesWriter:
    """Writes complete records; what was written survives a crash."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write to a binary stream; the caller closes it."""
        self._stream = stream

    def write(self, record: ScanRecord | VerifyRecord | CredentialsRecord | SigningRecord | InspectRecord) -> None:
        """One line, flushed."""
        self._stream.write(json_line(record).encode("ascii") + b"\n")
        self._stream.flush()

    def finish(self) -> None:
        """Nothing is left to write."""
