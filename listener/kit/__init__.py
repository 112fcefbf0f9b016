"""What every handler needs: running FFmpeg, probing media, object storage, rows of tables, and safe downloads.

Import the module you use: `from listener.kit import ffmpeg, media, storage, tables, fetch`. Nothing here knows of
queues, so handlers may be tried without a service.
"""
