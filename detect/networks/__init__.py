"""Networks of the literature, written anew so that their released weights load and give the released scores.

Where a module's attributes have unusual names, those are the keys of the released files.
"""
