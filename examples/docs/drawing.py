"""Parts of an SVG picture, in the colours of the documentation."""

from __future__ import annotations

from xml.sax.saxutils import escape

INK, SOFT, LINE, BEFORE, AFTER = "#3d3b45", "#6b6874", "#c9c5bd", "#b9571b", "#0f8378"


def svg(width: int, height: int, title: str, parts: list[str]) -> str:
    """A picture of these parts."""
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="system-ui, DejaVu Sans, sans-serif" font-size="13">\n<title>{escape(title)}</title>\n'
        f'<rect width="{width}" height="{height}" rx="10" fill="#fbfaf8"/>\n{body}\n</svg>\n'
    )


def text(x: float, y: float, words: object, colour: str = INK, anchor: str = "start", size: int = 13) -> str:
    """A line of text."""
    look = f'fill="{colour}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text x="{x:g}" y="{y:g}" {look}>{escape(str(words))}</text>'


def box(x: float, y: float, w: float, h: float, fill: str, stroke: str = LINE, opacity: float = 1) -> str:
    """A rectangle."""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="3" fill="{fill}" '
        f'fill-opacity="{opacity:g}" stroke="{stroke}"/>'
    )
