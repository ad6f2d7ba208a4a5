"""What objects on a grid look like, from above and from an angle, and how frames are put together from it.

A sheet holds, for every object and every cell that it may stand in, the whole frame with that object alone: 0 where
it is not, else depth * (number of colours) + colour, so that the largest number at a pixel is what is seen there.
Colour 0 is the background; object j has the colours j * shades + 1 to (j + 1) * shades.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from benchmark.types import Array, Bool, Float, Int
from datasets.video import hues

GRID = 5
"""Cells a side."""
SIZE = 50
"""Pixels a side of a frame."""
CELL = SIZE // GRID


class Sprites(NamedTuple):
    """How a world is drawn. `colours` are in [0, 1]; `shades` is how many of them an object has."""

    sheet: UInt8[np.ndarray, "o cells h w"]
    colours: Float[np.ndarray, "n 3"]
    shades: int


def shapes(num_objects: int, seed: int) -> Sprites:
    """Seen from above: flat figures, a circle, a square, a triangle, a diamond and a cross in turn."""
    figures = list(_figures().values())
    sheet = np.zeros((num_objects, GRID**2, SIZE, SIZE), np.uint8)
    for j, cell in np.ndindex(sheet.shape[:2]):
        top, left = CELL * (cell // GRID), CELL * (cell % GRID)
        sheet[j, cell, top : top + CELL, left : left + CELL] = (j + 1) * figures[j % len(figures)]
    return Sprites(sheet, _colours(num_objects, (1.0,), seed), 1)


def blocks(num_objects: int, seed: int) -> Sprites:
    """Seen from an angle above the nearest corner: cubes with a bright top, a darker right and a dark left side.

    A step along a row goes 5 pixels right and 4 down, a step along a column 5 left and 4 down; what is lower in the
    picture is nearer and hides what is behind it.
    """
    cube, shades = _cube(), 3
    height, width = cube.shape
    sheet = np.zeros((num_objects, GRID**2, SIZE, SIZE), np.uint8)
    for j, cell in np.ndindex(sheet.shape[:2]):
        y, x = divmod(cell, GRID)
        top, left = 1 + 4 * (x + y), 20 + 5 * (x - y)
        colour = np.where(cube > 0, j * shades + cube, 0)
        code = (x + y) * (num_objects * shades + 1) + colour
        sheet[j, cell, top : top + height, left : left + width] = np.where(cube > 0, code, 0)
    return Sprites(sheet, _colours(num_objects, (1.0, 0.75, 0.5), seed), shades)


def draw(sprites: Sprites, cells: Int[Array, "*b o"]) -> tuple[Float[Array, "*b h w 3"], Int[Array, "*b h w"]]:
    """Frames, and who is seen at each pixel: 0 the background, j + 1 object j."""
    placed = jnp.asarray(sprites.sheet)[np.arange(cells.shape[-1]), cells]
    colour = placed.max(-3).astype(jnp.int32) % len(sprites.colours)
    frames = jnp.asarray(sprites.colours).at[colour].get(mode="promise_in_bounds")
    return frames, (colour + sprites.shades - 1) // sprites.shades


def _figures() -> dict[str, Bool[np.ndarray, "h w"]]:
    """Five figures in a cell, one pixel off its border, told from each other by their outline alone."""
    middle = (CELL - 1) / 2
    y, x = np.mgrid[:CELL, :CELL] - middle
    half = middle - 0.5
    return {
        "circle": np.hypot(x, y) <= half,
        "square": np.maximum(abs(x), abs(y)) < half,
        "triangle": (abs(x) <= (y + half) / 2 + 0.25) & (abs(y) <= half),
        "diamond": abs(x) + abs(y) <= half + 0.5,
        "cross": (np.minimum(abs(x), abs(y)) < 1) & (np.maximum(abs(x), abs(y)) <= half),
    }


def _cube() -> UInt8[np.ndarray, "h w"]:
    """A block 10 pixels wide: 0 nothing, 1 its top, 2 its right and 3 its left side, which are 8 pixels high."""
    y, x = np.mgrid[:16, :10].astype(float)
    x = x - 4.5
    slope = 0.8
    upper, lower = slope * (abs(x) - 0.5), 7 - slope * (abs(x) - 0.5)
    top = (y >= upper) & (y <= lower)
    side = (y > lower) & (y <= lower + 8)
    return np.where(top, 1, np.where(side, np.where(x > 0, 2, 3), 0)).astype(np.uint8)


def _colours(num_objects: int, shades: tuple[float, ...], seed: int) -> Float[np.ndarray, "n 3"]:
    """Black, then the shades of one hue an object, in [0, 1]."""
    bright = (hues(num_objects, seed) + 1) / 2
    shaded = bright[:, None] * np.array(shades, np.float32)[:, None]
    return np.concatenate([np.zeros((1, 3), np.float32), shaded.reshape(-1, 3)])
