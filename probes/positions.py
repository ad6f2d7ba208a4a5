"""Where the objects of a frame are, and where a regression on its slots puts them: for a figure."""

import jax.numpy as jnp
import numpy as np

from benchmark.types import Float, Frozen


def one_frame(test: Frozen, predicted: Float[np.ndarray, "n p"]) -> dict[str, np.ndarray]:
    """A test frame from the middle of those that count, and both places of each object in its pixels.

    `predicted` are the coordinates of the n frames that count. Returns `frame`, uint8 [h w 3], and `true` and
    `predicted`, float32 [objects, 2]: column and row, NaN where a data set does not say which pixel a coordinate means.
    Nothing where it says so of none, or where frames have no colours.
    """
    places = [(i, c) for i, c in enumerate(test.spec.coordinates) if c.pixel]
    if test.read is None or not places or test.spec.frame_shape[-1] % 3:
        return {}
    clips, times = np.nonzero(test.valid)
    middle = len(clips) // 2
    clip, time = clips[middle], times[middle]
    frame = np.asarray(test.read(test.data, jnp.asarray([clip])).frames)[0, time, ..., -3:]
    low, high = test.spec.frame_range
    pixels = {name: np.full((len(test.spec.objects), 2), np.nan, np.float32) for name in ("true", "predicted")}
    values = {"true": np.asarray(test.labels.coordinates)[clip, time], "predicted": predicted[middle]}
    for name, pixel in pixels.items():
        for i, coordinate in places:
            scale, offset = coordinate.pixel or (np.nan, np.nan)
            pixel[coordinate.object, "xy".index(coordinate.axis)] = scale * values[name][i] + offset
    return {"frame": np.rint(255 * np.clip((frame - low) / (high - low), 0, 1)).astype(np.uint8), **pixels}
