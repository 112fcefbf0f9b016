"""The export room: renders OpenCut projects.

Other rooms use its one public function, `render`; the service includes `handlers.export.handler.app`.
"""

from handlers.export.render import Rendered, render

__all__ = ["Rendered", "render"]
