"""Training of one neural detector from a stream of batches, on one processor or several."""
