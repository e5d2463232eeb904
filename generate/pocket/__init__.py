"""The bundled generator: a small speech-token model that runs on any CPU."""
