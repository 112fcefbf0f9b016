"""What an export reads: its document, and the media that it names."""
