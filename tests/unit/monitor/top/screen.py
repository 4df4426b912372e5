"""A textual screen as the lines of text that a person sees."""

import html
import re
from typing import Any

_CELL = 12.2  # width of a character in textual's pictures
_TEXT = re.compile(r'<text class="[^"]*-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>')


def text(app: Any) -> str:
    """From its picture, which is what textual gives to everybody. Blanks at line ends are left out."""
    lines: dict[float, str] = {}
    for x, y, piece in _TEXT.findall(app.export_screenshot()):
        column = round(float(x) / _CELL)
        before = lines.get(float(y), "")
        lines[float(y)] = before.ljust(column) + html.unescape(piece).replace("\xa0", " ")
    step = min((b - a for a, b in zip(sorted(lines), sorted(lines)[1:], strict=False)), default=24.4)
    rows = {round((y - min(lines)) / step): line.rstrip() for y, line in lines.items()}
    return "\n".join(rows.get(row, "") for row in range(app.size.height)).rstrip() + "\n"
