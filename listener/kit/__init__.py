"""What every handler needs: running FFmpeg, probing media, object storage, and safe downloads.

Import the module you use: `from listener.kit import ffmpeg, media, storage, fetch`. Nothing here knows of
queues or databases, so handlers may be tried without a service.
"""
