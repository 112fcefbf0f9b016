"""One module for each backend that makes a transcript of a recording."""
