"""Line charts as SVG text: no plotting package, one file, the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

Curve = Sequence[tuple[float, float]]

# Told apart by people who do not tell red from green. Source: Okabe and Ito, 2008.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 34, 46


def line_chart(title: str, across: str, up: str, curves: Mapping[str, Curve]) -> str:
    """Draws curves over 0 to 1 across, from 0 up to what the highest needs.

    Args:
        title: Above the chart.
        across: What x is.
        up: What y is.
        curves: Points (x, y) by name; the order gives the colours.

    Returns:
        An SVG document.
    """
    top = _round_up(max((y for curve in curves.values() for _, y in curve), default=1.0))
    plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x: float, y: float) -> str:
        return f"{LEFT + x * plot_width:.1f},{TOP + (1 - y / top) * plot_height:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]
    for step in range(5):
        share = step / 4
        x, y = LEFT + share * plot_width, TOP + (1 - share) * plot_height
        parts += [
            f'<path d="M{LEFT} {y:.1f}H{LEFT + plot_width}" stroke="#ddd"/>',
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share * top:.3g}</text>',
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{share:g}</text>',
        ]
    middle = TOP + plot_height / 2
    parts += [
        f'<text x="{LEFT + plot_width / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>',
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{escape(up)}</text>',
    ]
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(place(x, y) for x, y in curve)
        y = TOP + 12 + 20 * number
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<path d="M{WIDTH - RIGHT + 12} {y - 4}h18" stroke="{colour}" stroke-width="3"/>',
            f'<text x="{WIDTH - RIGHT + 36}" y="{y}">{escape(name)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _round_up(value: float) -> float:
    """Gives the next of 1, 2, 4, 8 times a power of ten, so that quarters of it read well."""
    if value <= 0:
        return 1.0
    power = 10.0 ** (
        len(f"{value:.0f}") - 1 if value >= 1 else -next(n for n in range(1, 20) if value * 10**n >= 1)
    )
    return next((factor * power for factor in (1, 2, 4, 8) if value <= factor * power), 10 * power)
