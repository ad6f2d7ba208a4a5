"""A synthetic video, kept as masks and painted inside the compiled step: one byte a pixel instead of twelve."""

from itertools import accumulate
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped, UInt8

from benchmark.contracts import check_window
from benchmark.errors import UserError
from benchmark.types import Array, Batch, Coordinate, Float, Key, Labels

BLACK = np.full((1, 3), -1.0, np.float32)
"""The background, in the range [-1, 1] of all synthetic frames."""


MOST_OBJECTS = 255
"""Most objects that masks of one byte can number; 0 is the background."""


class Video(NamedTuple):
    """Who is seen at each pixel (0 the background, j + 1 object j), the colour of each, and where the objects are.

    `palette` is in [-1, 1], row 0 the background; `coordinates` are x and y of object 0, of object 1, ..., in pixels,
    0 at the centre of the upper left one.
    """

    masks: UInt8[Array, "*b t h w"]
    palette: Float[Array, "*b colours c"]
    coordinates: Float[Array, "*b t p"]


def paint(video: Video) -> Batch:
    """The frames that the masks and the palette describe, with all labels; `video` has one leading dimension."""
    masks = video.masks.astype(jnp.int32)
    frames = jax.vmap(lambda palette, mask: palette.at[mask].get(mode="promise_in_bounds"))(video.palette, masks)
    return Batch(frames, labels=Labels(video.coordinates, masks))


def cut(video: Video, key: Key, window: int) -> Video:
    """`window` consecutive frames of each video, from a frame drawn at random; whole videos stay as they are."""
    clips, length = video.masks.shape[:2]
    check_window(window, length)
    if window == length:
        return video
    starts = jax.random.randint(key, (clips,), 0, length - window + 1)
    part = jax.vmap(lambda frames, start: jax.lax.dynamic_slice_in_dim(frames, start, window))
    return Video(part(video.masks, starts), video.palette, part(video.coordinates, starts))


def split(video: Video, sizes: tuple[int, ...]) -> list[Video]:
    """Consecutive runs of so many videos."""
    ends = list(accumulate(sizes))
    return [Video(*(array[end - size : end] for array in video)) for size, end in zip(sizes, ends, strict=True)]


def hues(count: int, seed: int) -> Float[np.ndarray, "count 3"]:
    """Equally spaced, fully saturated hues in [-1, 1]; the seed turns the colour circle."""
    hue = np.random.default_rng(seed).uniform() + np.arange(count) / count
    distance = np.abs((6 * hue[:, None] + np.array([0.0, 4.0, 2.0])) % 6 - 3)
    return (2 * np.clip(distance - 1, 0, 1) - 1).astype(np.float32)


def check_countable(what: str, count: int) -> None:
    """Raises UserError for more objects than a mask can number, in one byte with 0 for the background."""
    if count > MOST_OBJECTS:
        raise UserError(f"{what}={count} is more than the {MOST_OBJECTS} objects that a mask can number; take fewer")


def object_names(count: int) -> tuple[str, ...]:
    """The names of objects that differ in nothing but their colour."""
    return tuple(f"object_{j}" for j in range(count))


def coordinates(num_objects: int, pixel: tuple[float, float] | None = (1, 0)) -> tuple[Coordinate, ...]:
    """x and y of object 0, of object 1, ...; `pixel` is as in `Coordinate`."""
    names = object_names(num_objects)
    return tuple(Coordinate(f"{name}_{axis}", j, axis, pixel) for j, name in enumerate(names) for axis in "xy")


def discs(places: Shaped[Array, "*b o 2"], centres: Shaped[Array, " n"], radius: float) -> UInt8[Array, "*b n n"]:
    """Masks: 0, or j + 1 at pixels whose centre lies inside disc j, the last of several; all in one unit.

    `centres` are those of the pixels of a row, which are those of a column too.
    """
    squares = (centres - places[..., None]) ** 2
    inside = squares[..., 0, None, :] + squares[..., 1, :, None] < radius**2
    numbers = jnp.arange(1, places.shape[-2] + 1, dtype=jnp.uint8)
    return (inside * numbers[:, None, None]).max(-3)
