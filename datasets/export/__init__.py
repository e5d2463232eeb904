"""A store as plain files that other tools read: one layout per module, each made by a function of one shape.

Every layout holds one 16-bit FLAC file per clip, so sound kept as float32 is rounded to steps of 2**-15. A folder
appears under its name when it is whole.
"""

from .layout import LAYOUTS, Layout, export

__all__ = ["LAYOUTS", "Layout", "export"]
