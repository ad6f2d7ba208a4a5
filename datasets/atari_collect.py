"""Plays one Atari game with a uniform random agent and writes what was on the screen and in the RAM to shard files.

The protocol of AtariARI (Anand et al. 2019) and SCN (Racah & Chandar 2020): no sticky actions, minimal action set,
1 to 30 raw no-ops after a reset, 4 raw frames a step, pixelwise maximum of the last two, a lost life ends an episode
although the emulator plays on until the game is over, FIRE opens an episode where the game has that action.

Departures: a frame and the RAM beside it are always of the same instant. One step opens every episode, of FIRE, or a
no-op where the game has none; SCN's public code gives a raw frame of FIRE and one of the next action after a reset, but
a no-op after a lost life, so that games such as Breakout wait there for the agent's own FIRE (on Breakout in some 7 %
of its frames, here in none). It also drops episodes of up to 8 frames, which are kept here.

Run as a script by `atari_store` in one process a core, so it imports nothing of the project and no JAX.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

HEIGHT, WIDTH, RAM_BYTES = 210, 160, 128
FRAME_SKIP, MAX_NO_OPS = 4, 30
BLOCK = 16
"""Frames handed to the compressor at once: they are still in the processor's cache. It does not change the stream."""

NOOP, FIRE = 0, 1

_NTSC = (
    "0000004a4a4a6f6f6f8e8e8eaaaaaac0c0c0d6d6d6ececec48480069690f86861da2a22abbbb35d2d240e8e84afcfc547c2c00904811a26221b47a30"
    "c3903dd2a44adfb755ecc860901c00a33915b55328c66c3ad5824ae39759f0aa67fcbc74940000a71a1ab83232c84848d65c5ce46f6ff08080fc9090"
    "84006497197aa8308fb846a2c659b3d46cc3e07cd2ec8ce050008468199a7d30ad9246c0a459d0b56ce0c57ceed48cfc140090331aa34e32b56848c6"
    "7f5cd5956fe3a980f0bc90fc000094181aa72d32b84248c8545cd6656fe47580f08490fc001c88183b9d2d57b04272c2548ad265a0e175b5ef84c8fc"
    "0030641850802d6d984288b054a0c565b7d975cceb84e0fc00403018624e2d8169429e8254b89965d1ae75e7c284fcd40044001a661a32843248a048"
    "5cba5c6fd26f80e88090fc90143c00355f18527e2d6e9c4287b7549ed065b4e775c8fc843038005059166d762b88923ea0ab4fb7c25fccd86ee0ec7c"
    "482c00694d14866a26a28638bb9f47d2b656e8cc63fce070"
)
PALETTE = np.frombuffer(bytes.fromhex(_NTSC), np.uint8).reshape(128, 3)
"""The emulator's 128 NTSC colours as RGB; `getScreen` gives twice the row number."""


BANK = 127
"""Colours outside `PALETTE` that a frame can have beside it; the last code marks a pair of colours not yet met."""
_UNKNOWN = 128 + BANK


class Colours:
    """Turns the last two raw screens of a step into one byte a pixel without losing a colour.

    Codes 0 to 127 are rows of `PALETTE`. The channelwise maximum of two colours is often none of these: such colours
    (0xRRGGBB) get the codes from 128 on, listed in the current one of `banks`. One bank does for every game but Yars'
    Revenge, whose neutral zone flickers in hundreds of colours; there a new one begins when the last is full.
    """

    def __init__(self) -> None:
        self.banks: list[list[int]] = [[]]
        brightest = np.maximum(PALETTE[:, None], PALETTE[None]).astype(np.int32)
        rgb = brightest @ np.array([1 << 16, 1 << 8, 1], np.int32)
        self._rgb = rgb.repeat(2, 0).repeat(2, 1)  # screens hold twice the row number
        self._code_of = {int(colour): code for code, colour in enumerate(rgb.diagonal())}
        known = [self._code_of.get(colour, _UNKNOWN) for colour in self._rgb.ravel().tolist()]
        self._of_palette = np.array(known, np.uint8)
        self._table = self._of_palette.copy()

    def merge(self, first: np.ndarray, second: np.ndarray, out: np.ndarray) -> int:
        """Writes the codes of max(first, second) into `out` (all uint8 [210, 160]); returns the bank's number.

        Most pixels of the two are equal, so only those words of 8 pixels that differ are looked up.
        """
        np.right_shift(second, 1, out=out)
        words = np.flatnonzero(first.view(np.uint64).ravel() != second.view(np.uint64).ravel())
        if len(words):
            pairs = first.reshape(-1, 8).take(words, 0).astype(np.uint16)
            pairs <<= 8
            pairs |= second.reshape(-1, 8).take(words, 0)
            codes = self._table.take(pairs, mode="clip")  # nothing to clip, but faster than a check
            if codes.max() == _UNKNOWN:
                self._learn(np.unique(pairs))
                codes = self._table.take(pairs)
            out.view(np.uint64).ravel()[words] = codes.view(np.uint64).ravel()
        return len(self.banks) - 1

    def _learn(self, pairs: np.ndarray) -> None:
        """Finds codes for all pairs of one frame in the current bank or, if it has no room for them, in a new one."""
        colours = self._rgb.take(pairs).tolist()
        wanted = [colour for colour in dict.fromkeys(colours) if colour not in self._code_of]
        if len({*self.banks[-1], *wanted}) > BANK:
            self.banks.append([])
            self._table = self._of_palette.copy()
        bank = self.banks[-1]
        bank += [colour for colour in wanted if colour not in bank]
        assert len(bank) <= BANK, "so many colours in one frame do not fit a byte a pixel"
        codes = {**self._code_of, **{colour: 128 + i for i, colour in enumerate(bank)}}
        self._table[pairs] = [codes[colour] for colour in colours]


class RandomPlay:
    """One emulator and its random agent: a stream of (screen, RAM, first of its episode, action), always the same."""

    def __init__(self, rom: str, seed: str, max_episode_steps: int) -> None:
        self._random = random.Random(seed)  # of its methods only random() promises the same numbers for ever
        self._ale = emulator(rom, self._draw(2**31 - 1))
        self._actions = self._ale.getMinimalActionSet()
        self._opening = FIRE if FIRE in [action.value for action in self._actions] else NOOP
        self._max_episode_steps = max_episode_steps
        self._screens = np.empty((2, HEIGHT, WIDTH), np.uint8)
        self._age = 0
        self._reset()

    def _draw(self, bound: int) -> int:
        return int(self._random.random() * bound)

    def _reset(self) -> None:
        self._ale.reset_game()
        for _ in range(1 + self._draw(MAX_NO_OPS)):
            self._ale.act(NOOP)
        self._open()

    def _open(self) -> None:
        self._skip(self._opening)
        if self._ale.game_over():
            self._reset()
        self._age, self._lives = 0, self._ale.lives()

    def _skip(self, action: Any) -> None:
        for _ in range(FRAME_SKIP - 1):
            self._ale.act(action)
        self._ale.getScreen(self._screens[0])
        self._ale.act(action)
        self._ale.getScreen(self._screens[1])

    def read(self, ram: np.ndarray) -> tuple[np.ndarray, bool]:
        """The last two raw screens [2, 210, 160] of this instant and whether an episode begins; fills `ram`."""
        self._ale.getRAM(ram)
        return self._screens, self._age == 0

    def act(self) -> int:
        """Takes one random step and returns the action as an index into the minimal action set."""
        action = self._draw(len(self._actions))
        self._skip(self._actions[action])
        self._age += 1
        before, self._lives = self._lives, self._ale.lives()
        if self._ale.game_over() or self._age == self._max_episode_steps:
            self._reset()
        elif self._lives < before:
            self._open()
        return action


def emulator(rom: str, seed: int) -> Any:
    """A silent emulator with that ROM (ALE's name) and no sticky actions; equal seeds and actions, equal frames."""
    import ale_py
    import ale_py.roms

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setInt("random_seed", seed)
    ale.setFloat("repeat_action_probability", 0.0)
    path = ale_py.roms.get_rom_path(rom)
    assert path, f"ale-py knows no ROM {rom!r}"
    ale.loadROM(path)
    return ale


@dataclass(frozen=True)
class Job:
    """One shard to collect: which game, from which seed, how many frames, into which file."""

    path: str
    rom: str
    seed: str
    frames: int
    max_episode_steps: int


def collect(job: Job) -> None:
    """Write a shard: a zstd stream of frames, RAM, actions, episode starts, banks' numbers and colours, then a SHA-256.

    The hash is that of the stream: hashing the content, 30 times as long, would cost a tenth of the emulator's time.
    The file appears whole or not at all. Raises OSError.
    """
    path = Path(job.path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            _write(job, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(job: Job, file: BinaryIO) -> None:
    import zstandard

    # The window of 4 MiB spans 124 frames: a flickering sprite finds its twin although it skips frames.
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=22)
    hashed: Any = _Hashed(file)  # zstandard asks of a file no more than to write
    with zstandard.ZstdCompressor(compression_params=parameters).stream_writer(hashed, closefd=False) as stream:
        for content in _contents(job):
            stream.write(content)
    file.write(hashed.sha256.digest())


class _Hashed:
    """Hashes what passes through to a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.sha256 = file, hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.sha256.update(content)
        return self._file.write(content)


def _contents(job: Job) -> Any:
    play, colours = RandomPlay(job.rom, job.seed, job.max_episode_steps), Colours()
    block = np.empty((BLOCK, HEIGHT, WIDTH), np.uint8)
    ram = np.empty((job.frames, RAM_BYTES), np.uint8)
    actions, starts, banks = np.empty((3, job.frames), np.uint8)
    for i in range(job.frames):
        screens, starts[i] = play.read(ram[i])
        banks[i] = colours.merge(screens[0], screens[1], out=block[i % BLOCK])
        actions[i] = play.act()
        if i % BLOCK == BLOCK - 1 or i == job.frames - 1:
            yield block[: i % BLOCK + 1].data.cast("B")
    yield from (array.data.cast("B") for array in (ram, actions, starts, banks))
    yield np.array([bank + [0] * (BANK - len(bank)) for bank in colours.banks], "<u4").tobytes()


def main(argument: str, parent: str) -> int:
    """Collect a JSON list of jobs in order; a line "done <path>" or "failed <why>" each on standard output.

    Ends with the process of number `parent`, which started it.
    """
    sys.stdout.reconfigure(encoding=sys.getfilesystemencoding(), errors="surrogateescape")  # type: ignore[union-attr]
    threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()
    for job in (Job(**fields) for fields in json.loads(argument)):
        try:
            collect(job)
        except OSError as error:
            print("failed", error.strerror or error, flush=True)
            return 1
        print("done", job.path, flush=True)
    return 0


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
