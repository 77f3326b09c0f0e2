"""What is known of a colour: how light it is, how it differs, and what readers see who lack a kind of cone."""

from collections.abc import Mapping
from typing import Final

Channels = tuple[float, float, float]

DEFICIENCIES: Final[Mapping[str, tuple[Channels, Channels, Channels]]] = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
"""Of linear RGB, where a kind of cone is missing: Machado, Oliveira and Fernandes, "A Physiologically-based
Model for Simulation of Color Vision Deficiency" (2009)."""


def linear(color: str) -> Channels:
    """Red, green and blue, from 0 to 1, as light adds up."""
    red, green, blue = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return _linear(red), _linear(green), _linear(blue)


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def seen(color: str, deficiency: str) -> Channels:
    """The same as it is seen with a deficiency."""
    channels = linear(color)
    red, green, blue = (
        min(1.0, max(0.0, sum(share * each for share, each in zip(row, channels, strict=True))))
        for row in DEFICIENCIES[deficiency]
    )
    return red, green, blue


def luminance(channels: Channels) -> float:
    """As WCAG 2.2 has it, from 0 to 1."""
    return sum(share * each for share, each in zip((0.2126, 0.7152, 0.0722), channels, strict=True))


def lightness(color: str) -> float:
    """CIE L*, from 0 to 100."""
    return lightness_of(linear(color))


def lightness_of(channels: Channels) -> float:
    """CIE L* of linear RGB."""
    light = luminance(channels)
    return 116 * light ** (1 / 3) - 16 if light > 0.008856 else 903.3 * light


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 has it, from 1 to 21."""
    darker, lighter = sorted(luminance(linear(each)) for each in (one, other))
    return (lighter + 0.05) / (darker + 0.05)
