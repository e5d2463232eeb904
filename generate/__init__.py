"""Speech generators: prompt -> tokens -> audio. Covo-Audio on a GPU, the bundled model on any CPU."""
