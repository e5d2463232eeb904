"""A checkpoint that the user brings: what it must hold, how it is read, and under which licence."""
