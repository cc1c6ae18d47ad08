"""The server's icon: progress bars as SVG, without a script, a font or another file."""

from __future__ import annotations

from base64 import b64encode

from mcp_types import Icon

_SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48">'
    b'<rect width="48" height="48" rx="10" fill="#1f6feb"/>'
    b'<path d="M10 15h28M10 24h28M10 33h28" stroke="#fff" stroke-opacity=".35" stroke-width="5"'
    b' stroke-linecap="round"/>'
    b'<path d="M10 15h28M10 24h17M10 33h7" stroke="#fff" stroke-width="5" stroke-linecap="round"/>'
    b"</svg>"
)

ICON = Icon(
    src="data:image/svg+xml;base64," + b64encode(_SVG).decode(),
    mime_type="image/svg+xml",
    sizes=["any"],
)
