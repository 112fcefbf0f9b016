"""What a media file holds, read in a confined process."""

from listener.kit.media.api import Audio, Media, MediaError, Video, probe, probe_all

__all__ = ["Audio", "Media", "MediaError", "Video", "probe", "probe_all"]
