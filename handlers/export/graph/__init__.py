"""Compile a film into FFmpeg's filter graph. Nothing here does I/O."""
