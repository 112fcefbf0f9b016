"""Read what a media file holds, in a sandboxed process."""

from listener.kit.media.api import Audio, Media, MediaError, PictureTooLarge, Video, probe, probe_all

__all__ = ["Audio", "Media", "MediaError", "PictureTooLarge", "Video", "probe", "probe_all"]
