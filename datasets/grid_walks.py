"""Walkers on a grid: where each can start, how it goes on, and which starts are held out."""

import jax
import jax.numpy as jnp
from jaxtyping import UInt32

from benchmark.types import Array, Bool, Int, Key

Part = tuple[int, int] | Int[Array, " 2"]
"""The first remainder of a split and the one after its last."""

PARTS = {"train": (2, 20), "val": (0, 1), "test": (1, 2)}
"""Which remainders of a start's hash, modulo 20, belong to a split: from the first number up to the second."""


def place(ranks: Int[Array, " o"], num_cells: int) -> Int[Array, " o"]:
    """Cells that differ: object j takes the cell number `ranks[j]`, from 0, among those that objects 0..j-1 left free.

    One to one: distinct ranks, with ranks[j] < num_cells - j, give distinct placements, and every placement is reached.
    """
    free, cells = jnp.ones(num_cells, bool), []
    for rank in ranks:
        cells.append(jnp.argmax(jnp.cumsum(free) > rank))
        free = free.at[cells[-1]].set(False)
    return jnp.stack(cells)


def walk(
    cells: Int[Array, "*b o"], moves: Int[Array, "*b o"], grid_size: int, num_frames: int
) -> Int[Array, "*b t o 2"]:
    """x and y of every object in every frame; moves 0 to 3 are right, left, down, up.

    A walker between two walls is a point on a circle of circumference 2 (grid_size - 1), seen from the side.
    """
    start = jnp.stack([cells % grid_size, cells // grid_size], -1)
    moving = jnp.stack([moves < 2, moves >= 2], -1)
    backwards = (moves % 2 == 1)[..., None]
    circle = 2 * (grid_size - 1)
    angle = jnp.where(backwards, circle - start, start)
    angle = angle[..., None, :, :] + moving[..., None, :, :] * jnp.arange(num_frames)[:, None, None]
    return jnp.minimum(angle % circle, circle - angle % circle)


def start_hash(positions: Int[Array, "*b 2 o 2"], grid_size: int) -> UInt32[Array, "*b"]:
    """A well mixed number for the first two frames of a walk.

    The first two and not the start: an object at the border that is sent outwards walks like one that is sent inwards.
    """
    cells = positions[..., 1] * grid_size + positions[..., 0]
    codes = (cells[..., 0, :] * grid_size**2 + cells[..., 1, :]).astype(jnp.uint32)
    mixed = jnp.zeros(codes.shape[:-1], jnp.uint32)
    for j in range(codes.shape[-1]):
        mixed = (mixed ^ codes[..., j]) + jnp.uint32(0x9E3779B9)
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):  # the finaliser of MurmurHash3
            mixed = (mixed ^ (mixed >> shift)) * jnp.uint32(factor)
    return mixed


def belongs(positions: Int[Array, "*b t o 2"], part: Part, grid_size: int) -> Bool[Array, "*b"]:
    """Whether a walk is one of that part's."""
    remainder = (start_hash(positions[..., :2, :, :], grid_size) % 20).astype(jnp.int32)
    return (part[0] <= remainder) & (remainder < part[1])


def draw_start(key: Key, part: Part, num_objects: int, grid_size: int) -> tuple[Int[Array, " o"], Int[Array, " o"]]:
    """Cells and moves, uniform over the starts of that part: drawn again until one belongs to it."""
    free = grid_size**2 - jnp.arange(num_objects)

    def draw(state: tuple[Key, Array, Array, Array]) -> tuple[Key, Array, Array, Array]:
        key, cell_key, move_key = jax.random.split(state[0], 3)
        cells = place(jax.random.randint(cell_key, (num_objects,), 0, free), grid_size**2)
        moves = jax.random.randint(move_key, (num_objects,), 0, 4)
        return key, cells, moves, belongs(walk(cells, moves, grid_size, 2), part, grid_size)

    nothing = jnp.zeros(num_objects, jnp.int32)
    _, cells, moves, _ = jax.lax.while_loop(lambda state: ~state[-1], draw, (key, nothing, nothing, jnp.array(False)))
    return cells, moves
