"""Covo-Audio in our own code: language model, engine, decoder. No weight of it is bundled."""
