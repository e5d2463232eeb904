"""Content Credentials: signed statements on where a file comes from, written, read and found again (C2PA)."""
