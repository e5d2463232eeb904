"""One file, one check. See `detect.forensics.exhibit.Check`."""
