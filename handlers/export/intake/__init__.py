"""Read an export's document and fetch the media that it names."""
