"""How the bundled speech model was made: texts, recordings of the teacher voices, and the training of its parts."""
