"""Run FFmpeg over a compiled film, segment by segment."""
