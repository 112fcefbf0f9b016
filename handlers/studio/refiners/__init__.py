"""One module for each backend that refines a transcript."""
