"""The label table of 24 Atari games: which byte of the RAM is which object's coordinate (`atari_labels.toml`)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from benchmark.errors import unknown
from benchmark.types import Coordinate


@dataclass(frozen=True)
class Label:
    """One byte of the RAM. Coordinates have an `object` and an `axis` ("x" or "y"), other labels (scores) have not.

    `pixel` (scale, offset): the sprite's column or row is scale * byte + offset, where that was verified on frames.
    `not_position`: the reason why a byte that is a coordinate by its name does not tell where its object is.
    """

    name: str
    ram: int
    object: str | None = None
    axis: str | None = None
    pixel: tuple[float, float] | None = None
    not_position: str | None = None


@dataclass(frozen=True)
class Game:
    """What is known of a game: ALE's name of its ROM, how many actions it has, its labels in AtariARI's order."""

    name: str
    rom: str
    num_actions: int
    labels: tuple[Label, ...]
    quirks: tuple[str, ...] = ()

    @property
    def positions(self) -> tuple[Label, ...]:
        """The labels that are coordinates of objects."""
        return tuple(label for label in self.labels if label.object)

    @property
    def objects(self) -> tuple[str, ...]:
        """The objects in the order in which the table first names them; SCN has as many slots."""
        return tuple(dict.fromkeys(label.object for label in self.positions if label.object))

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """One a position, in the same order; its name is that of the object and the axis."""
        objects = self.objects
        return tuple(
            Coordinate(f"{label.object}_{label.axis}", objects.index(label.object), label.axis, label.pixel)
            for label in self.positions
            if label.object and label.axis
        )


@cache
def games() -> dict[str, Game]:
    """All games of the table by name."""
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {name: _game(name, dict(entry)) for name, entry in table.items()}


def _game(name: str, entry: dict) -> Game:
    labels = tuple(_label(label, fields) for label, fields in entry.pop("labels").items())
    return Game(name, labels=labels, quirks=tuple(entry.pop("quirks", ())), **entry)


def _label(name: str, fields: dict) -> Label:
    pixel = fields.get("pixel")
    return Label(name, **{**fields, "pixel": tuple(pixel) if pixel else None})


def find_game(name: str) -> Game:
    """The game of that name. Raises UserError for an unknown one."""
    if name not in games():
        raise unknown("Atari game", name, games())
    return games()[name]


def labels_from_ram(game: Game, ram: UInt8[np.ndarray, " bytes"]) -> dict[str, int]:
    """The value (0 to 255) of every label of the game, by AtariARI's names, from the 128 bytes of the RAM."""
    return {label.name: int(ram[label.ram]) for label in game.labels}


def entropy(values: UInt8[np.ndarray, " n"]) -> float:
    """Entropy in nats of the empirical distribution of a label; 0 for a constant one (AtariARI, section 4)."""
    counts = np.unique(values, return_counts=True)[1]
    from scipy.special import entr

    return float(entr(counts / counts.sum()).sum())
