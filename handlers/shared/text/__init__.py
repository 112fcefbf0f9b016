"""Language, keywords and sentences of a text, found by small rules instead of a model."""
