"""Equal discs without friction in a square box, moved from one elastic collision to the next."""

import jax
import jax.numpy as jnp

from benchmark.types import Array, Bool, Float, Key

BOX = 10.0
"""Side of the box; a frame takes one unit of time."""


def scatter(key: Key, num_balls: int, radius: float) -> Float[Array, "o 2"]:
    """Places in the box, uniform among those where no two balls overlap: drawn again until that is so."""

    def draw_places(state: tuple[Key, Array]) -> tuple[Key, Array]:
        key, place_key = jax.random.split(state[0])
        return key, jax.random.uniform(place_key, (num_balls, 2), minval=radius, maxval=BOX - radius)

    def overlap(state: tuple[Key, Array]) -> Bool[Array, ""]:
        gaps = jnp.linalg.norm(state[1][:, None] - state[1], axis=-1) - 2 * radius
        return (gaps < 0).sum() > num_balls  # each ball overlaps with itself

    return jax.lax.while_loop(overlap, draw_places, draw_places((key, jnp.zeros((num_balls, 2)))))[1]


def trajectory(
    places: Float[Array, "o 2"], velocities: Float[Array, "o 2"], num_frames: int, radius: float, box: float = BOX
) -> tuple[Float[Array, "t o 2"], Float[Array, "t o 2"]]:
    """Places in units of the box and velocities in those a frame, in every frame, the given ones first."""

    def frame(state: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        return advance(*state, radius, box), state

    return jax.lax.scan(frame, (places, velocities), length=num_frames)[1]


def advance(
    places: Float[Array, "o 2"], velocities: Float[Array, "o 2"], radius: float, box: float = BOX
) -> tuple[Float[Array, "o 2"], Float[Array, "o 2"]]:
    """One frame later: from collision to collision until the frame's time is used up."""

    def to_next_collision(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        remaining, x, v = state
        walls, pairs = time_to_walls(x, v, radius, box), time_to_balls(x, v, radius)
        step = jnp.minimum(remaining, jnp.minimum(walls.min(), pairs.min()))
        x = jnp.clip(x + step * v, radius, box - radius)
        bounced = jnp.where(walls.min() < pairs.min(), jnp.where(walls == walls.min(), -v, v), exchange(x, v, pairs))
        return remaining - step, x, jnp.where(step < remaining, bounced, v)

    start = jnp.ones((), places.dtype), places, velocities
    return jax.lax.while_loop(lambda state: state[0] > 0, to_next_collision, start)[1:]


def time_to_walls(x: Float[Array, "o 2"], v: Float[Array, "o 2"], radius: float, box: float) -> Float[Array, "o 2"]:
    """When each ball will touch the wall it flies to, along x and along y; infinite for one that rests."""
    distance = jnp.where(v > 0, box - radius - x, x - radius)
    return jnp.where(v == 0, jnp.inf, distance / jnp.where(v == 0, 1, jnp.abs(v)))


def time_to_balls(x: Float[Array, "o 2"], v: Float[Array, "o 2"], radius: float) -> Float[Array, "o o"]:
    """When each pair will touch; infinite for those that miss or part. |dx + t dv| = 2 radius, the earlier root."""
    dx, dv = x[:, None] - x, v[:, None] - v
    closing = -(dx * dv).sum(-1)
    speed = (dv * dv).sum(-1)
    gap = (dx * dx).sum(-1) - 4 * radius**2
    discriminant = closing**2 - speed * gap
    hits = (closing > 0) & (discriminant > 0)
    # gap / (closing + root) is that root without cancellation; rounding may leave balls in touch a hair inside.
    time = jnp.maximum(gap, 0) / jnp.where(hits, closing + jnp.sqrt(jnp.where(hits, discriminant, 1)), 1)
    return jnp.where(hits, time, jnp.inf)


def exchange(x: Float[Array, "o 2"], v: Float[Array, "o 2"], times: Float[Array, "o o"]) -> Float[Array, "o 2"]:
    """Velocities after the earliest collision of a pair: equal masses swap their components along the line between."""
    i, j = jnp.divmod(jnp.argmin(times), len(x))
    line = x[i] - x[j]
    line = line / jnp.linalg.norm(jnp.where(i == j, 1, line))
    swapped = ((v[i] - v[j]) * line).sum() * line
    return v.at[i].add(-swapped).at[j].add(swapped)
