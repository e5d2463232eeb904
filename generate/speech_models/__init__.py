"""Speech models that the library transformers runs from a folder on disk: one small adapter per family."""
