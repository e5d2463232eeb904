"""What the model hears and is told: sound and text to embeddings, turns to prompts."""
