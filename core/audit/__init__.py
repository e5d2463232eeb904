"""An append-only log of what was done: every entry signed and bound to the one before it."""
