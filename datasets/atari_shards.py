"""What a collection of Atari frames consists of and how it is read back, verified, into one array without copies.

`<cache>/atari/<game>/<digest of the recipe>/` holds `train-000.zst`, ..., `probe-000.zst`, ... (`atari_collect`). The
cut into shards and their seeds depend on the recipe only, so every machine collects the same frames.
"""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from benchmark.types import Int
from datasets.atari_collect import BANK, HEIGHT, PALETTE, RAM_BYTES, WIDTH, Job

PROTOCOL = 1
"""Raised by hand when `atari_collect` comes to write other frames for the same recipe."""
SHARD_FRAMES = 10_000
FRAME_BYTES = HEIGHT * WIDTH
HASH_BYTES = 32


@dataclass(frozen=True)
class Recipe:
    """All that determines the frames. `rom` is ALE's name of the game."""

    game: str
    rom: str
    train_frames: int
    probe_frames: int
    max_episode_steps: int
    seed: int

    def folder(self, cache: Path) -> Path:
        """Where its shards lie."""
        whole = json.dumps({"protocol": PROTOCOL, "shard_frames": SHARD_FRAMES, **asdict(self)}, sort_keys=True)
        return cache / "atari" / self.game / hashlib.sha256(whole.encode()).hexdigest()[:16]

    def jobs(self, purpose: str, folder: Path) -> list[Job]:
        """The shards of "train" or "probe" in order, each with a seed of its own."""
        frames = {"train": self.train_frames, "probe": self.probe_frames}[purpose]
        count = -(-frames // SHARD_FRAMES)
        return [
            Job(
                path=str(folder / f"{purpose}-{i:03d}.zst"),
                rom=self.rom,
                seed=f"{self.game} {purpose} {self.seed} {i}",
                frames=frames * (i + 1) // count - frames * i // count,
                max_episode_steps=self.max_episode_steps,
            )
            for i in range(count)
        ]

    def all_jobs(self, folder: Path) -> list[Job]:
        """The shards of both purposes, train first."""
        return self.jobs("train", folder) + self.jobs("probe", folder)


@dataclass(frozen=True)
class Play:
    """Consecutive frames of random play. `actions[i]` was taken after frame i; `episodes` counts up from 0.

    Pixel p of frame i has the colour `palettes[banks[i], p]` of its collection.
    """

    frames: UInt8[np.ndarray, "n h w"]
    ram: UInt8[np.ndarray, "n 128"]
    actions: UInt8[np.ndarray, " n"]
    episodes: Int[np.ndarray, " n"]
    banks: UInt8[np.ndarray, " n"]


@dataclass(frozen=True)
class Collection:
    """A game's frames for training and for probes, their colours as 0xRRGGBB, and the hash of all of it.

    A code below 128 means the same colour in every palette.
    """

    train: Play
    probe: Play
    palettes: Int[np.ndarray, "m 256"]
    sha256: str


class DamagedShardError(ValueError):
    """A shard that is missing, cut off or altered."""


class Reader:
    """Decompresses shards in threads, each straight into its place in the one array of its purpose."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.sha256: dict[str, str] = {}
        """Of each shard's content, by file name, as read."""
        self._game = recipe.game
        self._plays = {
            purpose: _Play(sum(job.frames for job in recipe.jobs(purpose, folder))) for purpose in ("train", "probe")
        }
        self._banks: dict[str, list[list[int]]] = {}
        self._places: dict[str, tuple[_Play, slice]] = {}
        for purpose, play in self._plays.items():
            end = 0
            for job in recipe.jobs(purpose, folder):
                self._places[job.path] = play, slice(end, end := end + job.frames)

    def read(self, jobs: list[Job], expected: dict[str, str]) -> list[Job]:
        """Reads these shards; returns those that are damaged or whose hash is not the `expected` one, if there is."""
        with ThreadPoolExecutor(cores()) as threads:
            good = list(threads.map(lambda job: self._read_one(job, expected), jobs))
        return [job for job, is_good in zip(jobs, good, strict=True) if not is_good]

    def _read_one(self, job: Job, expected: dict[str, str]) -> bool:
        (play, place), path = self._places[job.path], Path(job.path)
        try:
            self._banks[job.path], self.sha256[path.name] = read_shard(path, play.parts(place))
        except DamagedShardError:
            return False
        return expected.get(path.name, self.sha256[path.name]) == self.sha256[path.name]

    def collection(self) -> Collection:
        """What was read, once no shard is damaged."""
        banks = _Banks()
        recodings = {path: [banks.add(bank) for bank in self._banks[path]] for path in self._places}
        with ThreadPoolExecutor(cores()) as threads:
            list(threads.map(lambda path: self._recode(path, recodings[path]), self._places))
        whole = hashlib.sha256(json.dumps(self.sha256, sort_keys=True).encode()).hexdigest()
        return Collection(self._plays["train"].play(), self._plays["probe"].play(), banks.palettes(), whole)

    def _recode(self, path: str, recodings: list[tuple[int, np.ndarray]]) -> None:
        """From the shard's own banks to those of the collection."""
        play, place = self._places[path]
        frames, banks = play.frames[place], play.banks[place]
        own = banks.copy()
        for i, (bank, codes) in enumerate(recodings):
            banks[own == i] = bank
            if (codes != np.arange(256)).any():
                for j in np.flatnonzero(own == i):
                    np.take(codes, frames[j], out=frames[j], mode="clip")


class _Banks:
    """Gathers the banks of shards into as few as hold them."""

    def __init__(self) -> None:
        self._banks: list[list[int]] = []

    def add(self, colours: list[int]) -> tuple[int, UInt8[np.ndarray, " codes"]]:
        """Returns the number of the bank that now holds these colours, and the new code of each old one."""
        fits = (i for i, bank in enumerate(self._banks) if len({*bank, *colours}) <= BANK)
        number = next(fits, len(self._banks))
        if number == len(self._banks):
            self._banks.append([])
        bank = self._banks[number]
        bank += [colour for colour in colours if colour not in bank]
        codes = np.arange(256, dtype=np.uint8)
        codes[128 : 128 + len(colours)] = [128 + bank.index(colour) for colour in colours]
        return number, codes

    def palettes(self) -> Int[np.ndarray, "m 256"]:
        """The colour of every code, 0xRRGGBB."""
        palettes = np.zeros((len(self._banks), 256), np.int32)
        palettes[:, :128] = PALETTE.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
        for palette, bank in zip(palettes, self._banks, strict=True):
            palette[128 : 128 + len(bank)] = bank
        return palettes


class _Play:
    """Arrays that wait for their content."""

    def __init__(self, count: int) -> None:
        self.frames = _aligned_frames(count)
        self.ram = np.empty((count, RAM_BYTES), np.uint8)
        self.actions, self.starts, self.banks = np.empty((3, count), np.uint8)

    def parts(self, place: slice) -> tuple[np.ndarray, ...]:
        """In the order in which a shard holds them."""
        return tuple(part[place] for part in (self.frames, self.ram, self.actions, self.starts, self.banks))

    def play(self) -> Play:
        episodes = np.cumsum(self.starts, dtype=np.int32) - np.int32(1)
        return Play(self.frames, self.ram, self.actions, episodes, self.banks)


def _aligned_frames(count: int) -> np.ndarray:
    """On a 64-byte boundary, so that JAX on a CPU uses the array as it is instead of copying it."""
    memory = np.empty(count * FRAME_BYTES + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + count * FRAME_BYTES].reshape(count, HEIGHT, WIDTH)


def read_shard(path: Path, parts: tuple[np.ndarray, ...] = ()) -> tuple[list[list[int]], str]:
    """Fills `parts` from a shard; returns its banks of colours (0xRRGGBB) and the SHA-256 of its content, uncompressed.

    Raises DamagedShardError.
    """
    import zstandard

    shard = memoryview(path.read_bytes() if path.exists() else b"")
    compressed, digest = shard[:-HASH_BYTES], hashlib.sha256()
    if hashlib.sha256(compressed).digest() != shard[-HASH_BYTES:]:
        raise DamagedShardError(path)
    with zstandard.ZstdDecompressor().stream_reader(compressed) as stream:
        for part in parts:
            # Pieces that stay in the processor's cache between decompression and hash.
            for piece in _pieces(part.data.cast("B"), 16 * FRAME_BYTES):
                digest.update(piece[: stream.readinto(piece)])
        rest = stream.read()
    digest.update(rest)
    banks = np.frombuffer(rest if parts else b"", "<u4").reshape(-1, BANK)
    return [[int(colour) for colour in bank if colour] for bank in banks], digest.hexdigest()


def _pieces(whole: memoryview, size: int) -> list[memoryview]:
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
