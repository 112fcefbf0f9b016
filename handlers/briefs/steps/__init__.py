"""One module for each step that a brief goes through."""
