"""The page `/docs`: all routes, as plain HTML without scripts, so that it loads nothing from other hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any


def page(schema: Mapping[str, Any]) -> str:
    """Return an HTML page about an OpenAPI schema."""
    title = escape(schema["info"]["title"])
    rows = "\n".join(_rows(schema))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 50rem; padding: 0 1rem }}
pre {{ background: #8881; overflow: auto; padding: .5rem }}</style></head>
<body><h1>{title} {escape(schema["info"]["version"])}</h1>
<p>The same as an OpenAPI schema: <a href="openapi.json">openapi.json</a></p>
{rows}
<h2>Types</h2>
<pre>{escape(json.dumps(schema.get("components", {}).get("schemas", {}), indent=2))}</pre>
</body></html>"""


def _rows(schema: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in schema["paths"].items():
        for method, route in methods.items():
            parts = {
                name: route[name] for name in ("parameters", "requestBody", "responses") if name in route
            }
            yield (
                f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
                f"<p>{escape(route.get('description') or route.get('summary', ''))}</p>"
                f"<details><summary>Parameters and responses</summary>"
                f"<pre>{escape(json.dumps(parts, indent=2))}</pre></details>"
            )
