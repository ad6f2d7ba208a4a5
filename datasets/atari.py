"""Atari games seen by a random agent, with the coordinates that AtariARI found in the RAM.

Anand et al. 2019 (arXiv 1906.08226) and Racah & Chandar 2020 (SCN, arXiv 2007.09294). Frames are RGB, 210 x 160,
0 to 1; labels are raw bytes. Two collections of different seeds: one to train on, one for the probes. Departures from
the public code: the probe frames are split by episode, not by time; frame and label are of the same instant; a test
frame that equals a frame of any other split does not count.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from benchmark.contracts import Dataset, Report, Split, Splits
from benchmark.errors import UserError
from benchmark.registry import datasets
from benchmark.types import Array, Batch, Bool, DatasetSpec, Float, Int, Key, Labels
from datasets import atari_store
from datasets.atari_collect import FRAME_SKIP, HEIGHT, MAX_NO_OPS, WIDTH
from datasets.atari_labels import entropy, find_game, games
from datasets.atari_shards import PROTOCOL, Collection, Play, Recipe

FEW_TEST_FRAMES = 200
TRAINING_WINDOW = 3
"""Frames of a training sample for methods that predict a frame from the two before it."""
MIN_EPISODES = 5


class AtariSplit(Split):
    """Whole episodes of one collection. Frames stay one byte a pixel until inside the compiled step.

    `data`: frames uint8 [n, 210, 160], banks int32 [n], palette [256 m, 3] (code p of frame i has the colour
    `palette[256 * banks[i] + p]`; m is 1 for every game but Yars' Revenge), actions, coordinates [n, p], starts (frames
    of this split, those with the most frames of their episode after them first), ahead (how many frames of its episode
    there are from each of these on), clips [i, t] (frame numbers). All but the last three are shared by the splits of a
    collection. What differs between games of as many slots is data, so that they share compiled programs.
    """

    def __init__(
        self,
        game: str,
        shared: dict[str, np.ndarray],
        episodes: Sequence[Int[np.ndarray, " _"]],
        clip_length: int,
    ) -> None:
        """`episodes` holds the frame numbers of each episode of this split."""
        self._game = game
        clips, self.valid = _clips(episodes, clip_length)
        frames = np.concatenate(episodes)
        ahead = np.concatenate([np.arange(len(episode), 0, -1) for episode in episodes])
        order = np.argsort(-ahead, kind="stable")
        self._longest = len(max(episodes, key=len))
        starts = {"starts": frames[order].astype(np.int32), "ahead": ahead[order].astype(np.int32)}
        self.data = {**shared, **starts, "clips": clips}

    def sample(self, data: Any, key: Key, batch_size: int, window: int) -> Batch:
        """Windows that begin, each equally likely, wherever the episode has `window` frames left.

        Raises UserError when no episode is that long.
        """
        if self._longest < window:
            raise UserError(
                f"{self._game}: no episode has {window} consecutive frames (the longest has {self._longest}); "
                "raise max_episode_steps or the number of frames"
            )
        count = (jnp.asarray(data["ahead"]) >= window).sum()
        starts = jnp.asarray(data["starts"])[jax.random.randint(key, (batch_size,), 0, count)]
        return _batch(data, starts[:, None] + jnp.arange(window))

    def read(self, data: Any, clips: Int[Array, " b"]) -> Batch:
        """Clips of `clip_length` frames of one episode; the last of an episode repeats its final frame."""
        return _batch(data, jnp.asarray(data["clips"])[clips])


def _batch(data: Any, index: Int[Array, "b t"]) -> Batch:
    colour = 256 * data["banks"][index][..., None, None] + data["frames"][index]
    frames = jnp.take(data["palette"], colour, axis=0, mode="clip")
    return Batch(frames, data["actions"][index], Labels(data["coordinates"][index]))


def _clips(episodes: Sequence[np.ndarray], length: int) -> tuple[Int[np.ndarray, "i t"], Bool[np.ndarray, "i t"]]:
    """Frame numbers of all clips, and False where the last frame of an episode is repeated to fill a clip."""
    clips, valid = [], []
    for episode in episodes:
        position = np.arange(-(-len(episode) // length) * length)
        clips.append(episode[np.minimum(position, len(episode) - 1)].reshape(-1, length))
        valid.append((position < len(episode)).reshape(-1, length))
    return np.concatenate(clips).astype(np.int32), np.concatenate(valid)


@dataclass(frozen=True, kw_only=True)
class Atari(Dataset):
    """One game. `max_episode_steps` cuts long episodes, so that small budgets hold several.

    Labels whose entropy over the frames that probes are fitted on is below `min_entropy` nats are dropped (SCN, section
    4: 0.6); neither the validation nor the test frames have a say.
    """

    game: str
    train_frames: int = 100_000
    probe_frames: int = 50_000
    max_episode_steps: int = 27_000
    min_entropy: float = 0.6
    seed: int = 0
    clip_length: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        find_game(self.game)
        if not self.min_entropy >= 0:
            raise UserError(f"min_entropy of data set {self.game!r} is {self.min_entropy}; it must not be negative")

    @property
    def _recipe(self) -> Recipe:
        rom = find_game(self.game).rom
        return Recipe(self.game, rom, self.train_frames, self.probe_frames, self.max_episode_steps, self.seed)

    def spec(self) -> DatasetSpec:
        """From the label table alone; its coordinates are those of all labels, before the entropy filter."""
        game = find_game(self.game)
        return DatasetSpec(
            name=game.name,
            frame_shape=(HEIGHT, WIDTH, 3),
            frame_range=(0.0, 1.0),
            num_slots=len(game.objects),
            objects=game.objects,
            backbone="nature_cnn",
            clip_length=self.clip_length,
            training_window=TRAINING_WINDOW,
            num_actions=game.num_actions,
            coordinates=game.coordinates,
        )

    def missing(self, cache: Path) -> tuple[int, int]:
        """Counts the shards that are not in the cache, at the size of the game that compresses worst.

        Raises UserError when there are such shards and no ROM to collect them from.
        """
        frames = sum(job.frames for job in atari_store.absent(self._recipe, cache))
        if frames:
            atari_store.check_rom(self._recipe)
        return frames * atari_store.BYTES_PER_FRAME, frames * FRAME_SKIP

    def held(self) -> int:
        """One byte a pixel."""
        return (self.train_frames + self.probe_frames) * HEIGHT * WIDTH

    def load(self, cache: Path, report: Report) -> Splits:
        """Raises UserError for a missing ROM, a cache that cannot be written, or a budget too small to score."""
        collection, ale_version = atari_store.load(self._recipe, cache, report)
        train_episodes, probe_episodes = _episodes(collection.train), _episodes(collection.probe)
        parts = _split_episodes(len(probe_episodes), self.game, self.seed)
        episodes = {name: [probe_episodes[i] for i in part] for name, part in parts.items()}
        kept, dropped = self._filter(collection.probe.ram[np.concatenate(episodes["probe"])])
        spec = self._complete_spec(collection.train, kept)
        shared = self._shared(collection, collection.probe, kept)
        train = AtariSplit(
            self.game, self._shared(collection, collection.train, kept), train_episodes, self.clip_length
        )
        probe, val, test = (AtariSplit(self.game, shared, part, self.clip_length) for part in episodes.values())
        seen = _seen(collection, np.concatenate(episodes["probe"] + episodes["val"]), np.concatenate(episodes["test"]))
        test.valid &= ~seen[test.data["clips"]]
        if not test.valid.any():
            raise UserError(f"{self.game}: no test frame differs from all training frames; raise probe_frames")
        splits = {"train": train_episodes, **episodes}
        facts = self._facts(splits, int(test.valid.sum())) | {
            "sha256": collection.sha256,
            "dropped": dropped,
            "not_position": self._not_position(kept),
            "quirks": list(find_game(self.game).quirks),
            "ale_py": ale_version,
        }
        return Splits(spec, train, probe, val, test, facts)

    def _filter(self, ram: UInt8[np.ndarray, "n bytes"]) -> tuple[list[int], dict[str, float]]:
        """Positions in the table's coordinates that are kept, and the entropies of the others by name."""
        game = find_game(self.game)
        entropies = [entropy(ram[:, label.ram]) for label in game.positions]
        kept = [i for i, nats in enumerate(entropies) if nats >= self.min_entropy]
        if not kept:
            raise UserError(
                f"{self.game}: every label has an entropy below {self.min_entropy} nats over {len(ram)} probe frames; "
                "raise probe_frames or lower min_entropy"
            )
        dropped = {game.coordinates[i].name: nats for i, nats in enumerate(entropies) if i not in kept}
        return kept, dropped

    def _not_position(self, kept: list[int]) -> dict[str, str]:
        """Why some of the kept coordinates do not tell where their object is, by name."""
        game = find_game(self.game)
        reasons = {game.coordinates[i].name: game.positions[i].not_position for i in kept}
        return {name: reason for name, reason in reasons.items() if reason}

    def _coordinates(self, play: Play, kept: list[int]) -> Float[np.ndarray, "n p"]:
        positions = find_game(self.game).positions
        return play.ram[:, [positions[i].ram for i in kept]].astype(np.float32)

    def _complete_spec(self, train: Play, kept: list[int]) -> DatasetSpec:
        spec = self.spec()
        known = replace(spec, coordinates=tuple(spec.coordinates[i] for i in kept))
        return known.measured(self._coordinates(train, kept))

    def _shared(self, collection: Collection, play: Play, kept: list[int]) -> dict[str, np.ndarray]:
        return {
            "frames": play.frames,
            "banks": play.banks.astype(np.int32),
            "palette": _rgb(collection.palettes),
            "actions": play.actions.astype(np.int32),
            "coordinates": self._coordinates(play, kept),
        }

    def _facts(self, splits: dict[str, list[np.ndarray]], n_test: int) -> dict[str, Any]:
        return {
            "frames": {name: sum(map(len, episodes)) for name, episodes in splits.items()},
            "episodes": {name: len(episodes) for name, episodes in splits.items()},
            "n_test": n_test,
            "few_test": n_test < FEW_TEST_FRAMES,
            "protocol": {
                "version": PROTOCOL,
                "agent": "uniform random, minimal action set",
                "sticky_actions": 0.0,
                "frame_skip": FRAME_SKIP,
                "max_of_last_frames": 2,
                "no_ops_at_reset": [1, MAX_NO_OPS],
                "fire_at_reset": True,
                "life_loss_ends_episode": True,
            },
        }


def _episodes(play: Play) -> list[Int[np.ndarray, " _"]]:
    """Frame numbers of each episode."""
    return np.split(np.arange(len(play.episodes)), np.flatnonzero(np.diff(play.episodes)) + 1)


def _split_episodes(count: int, game: str, seed: int) -> dict[str, list[int]]:
    """70, 10 and 20 % of the episodes by chance; val and test have at least 5 each where there are 15, at least 1."""
    if count < 3:
        raise UserError(
            f"{game}: {count} probe episodes cannot be split in three; raise probe_frames or lower max_episode_steps"
        )
    rng = random.Random(f"{game} split {seed}")
    shuffled = [episode for _, episode in sorted((rng.random(), episode) for episode in range(count))]
    least = min(MIN_EPISODES, count // 3)
    val, test = max(least, round(0.1 * count)), max(least, round(0.2 * count))
    parts = {"probe": shuffled[val + test :], "val": shuffled[:val], "test": shuffled[val : val + test]}
    return {name: sorted(part) for name, part in parts.items()}


def _rgb(palettes: Int[np.ndarray, "m 256"]) -> Float[np.ndarray, "colours 3"]:
    """All palettes one after the other, red, green and blue from 0 to 1."""
    return np.stack([palettes >> 16, palettes >> 8 & 255, palettes & 255], -1).reshape(-1, 3).astype(np.float32) / 255


def _seen(
    collection: Collection, probe_frames: Int[np.ndarray, " f"], test_frames: Int[np.ndarray, " g"]
) -> Bool[np.ndarray, " n"]:
    """For each frame of the probe collection: is it a test frame whose twin is in the train, probe or val split?"""
    palettes = collection.palettes
    train = _hashes(collection.train, palettes, np.arange(len(collection.train.frames)))
    known = {*train, *_hashes(collection.probe, palettes, probe_frames)}
    seen = np.zeros(len(collection.probe.frames), bool)
    seen[test_frames] = [twin in known for twin in _hashes(collection.probe, palettes, test_frames)]
    return seen


def _hashes(play: Play, palettes: Int[np.ndarray, "m 256"], frames: Int[np.ndarray, " f"]) -> list[bytes]:
    """Of the colours of each frame: of its codes where there is but one palette, else of RGB."""

    def hashes(part: np.ndarray) -> list[bytes]:
        if len(palettes) == 1:
            return [hashlib.sha256(play.frames[i]).digest() for i in part]
        return [hashlib.sha256(palettes[play.banks[i]].take(play.frames[i])).digest() for i in part]

    with ThreadPoolExecutor() as threads:
        parts = threads.map(hashes, np.array_split(frames, len(frames) // 1000 + 1))
        return [digest for part in parts for digest in part]


for _name in games():
    datasets.register(_name, game=_name)(Atari)
