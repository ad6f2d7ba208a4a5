"""The collector against a record of everything that the emulator showed while it played."""

from types import SimpleNamespace

import numpy as np
import pytest

from datasets import atari_collect
from datasets.atari_collect import PALETTE, Colours, Job, collect, emulator
from datasets.atari_shards import DamagedShardError, read_shard


class Witness:
    """An emulator that notes RAM, RGB screen, lives and action after each raw frame."""

    def __init__(self, ale):
        self._ale, self.ram, self.rgb, self.lives_left, self.actions = ale, [], [], [], []

    def __getattr__(self, name):
        return getattr(self._ale, name)

    def act(self, action):
        self._ale.act(action)
        self.actions.append(action)
        self.ram.append(self._ale.getRAM().tobytes())
        self.rgb.append(self._ale.getScreenRGB())
        self.lives_left.append(self._ale.lives())


class Shard:
    """A shard in full, its colours as RGB."""

    def __init__(self, path, frames):
        self.codes, self.ram = np.empty((frames, 210, 160), np.uint8), np.empty((frames, 128), np.uint8)
        self.actions, self.starts, numbers = np.empty((3, frames), np.uint8)
        banks, self.sha256 = read_shard(path, (self.codes, self.ram, self.actions, self.starts, numbers))
        palettes = np.zeros((len(banks), 256, 3), np.uint8)
        palettes[:, :128] = PALETTE
        for palette, bank in zip(palettes, banks, strict=True):
            palette[128 : 128 + len(bank)] = [(rgb >> 16, rgb >> 8 & 255, rgb & 255) for rgb in bank] or PALETTE[:0]
        self.rgb = palettes[numbers[:, None, None], self.codes]


def _collect(path, rom="breakout", seed="a", frames=200, max_episode_steps=1000):
    collect(Job(str(path), rom, seed, frames, max_episode_steps))
    return Shard(path, frames)


@pytest.fixture(scope="module", params=["breakout", "space_invaders", "yars_revenge"])
def witnessed(request, tmp_path_factory):
    seen = []

    def watch(rom, seed):
        seen.append(Witness(emulator(rom, seed)))
        return seen[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atari_collect, "emulator", watch)
        shard = _collect(tmp_path_factory.mktemp("shard") / "train-000.zst", request.param)
    return shard, seen[0]


def _instants(shard, witness):
    """The raw frame at which each stored frame was taken, found in order by its RAM."""
    instants, position = [], 0
    for ram in shard.ram:
        position = witness.ram.index(ram.tobytes(), position)
        instants.append(position)
    return np.array(instants)


def test_frame_and_ram_are_of_the_same_instant_and_colours_are_those_of_the_last_two_raw_frames(witnessed):
    shard, witness = witnessed
    for frame, now in zip(shard.rgb, _instants(shard, witness), strict=True):
        np.testing.assert_array_equal(frame, np.maximum(witness.rgb[now - 1], witness.rgb[now]))


def test_an_action_is_held_for_the_four_raw_frames_after_its_frame(witnessed):
    shard, witness = witnessed
    actions = witness.getMinimalActionSet()
    for now, action in zip(_instants(shard, witness), shard.actions, strict=True):
        assert witness.actions[now + 1 : now + 5] == [actions[action]] * 4


def test_frames_of_an_episode_are_four_raw_frames_apart_and_have_the_same_lives(witnessed):
    shard, witness = witnessed
    instants = _instants(shard, witness)
    assert shard.starts[0]
    for i in np.flatnonzero(shard.starts[1:] == 0) + 1:
        assert instants[i] == instants[i - 1] + 4
        assert witness.lives_left[instants[i]] == witness.lives_left[instants[i - 1]]


def test_a_lost_life_ends_an_episode(tmp_path):
    shard = _collect(tmp_path / "a.zst", "breakout", frames=300)
    lives = shard.ram[:, 57]  # breakout keeps its lives there
    changes = np.flatnonzero(np.diff(lives.astype(int))) + 1
    assert len(changes) > 2
    assert shard.starts[changes].all()


class Counted:
    """An emulator of which a step is known by its number; `lives` holds those left after each step."""

    def __init__(self, lives):
        self._lives, self._acts = lives, 0

    def act(self, action):
        self._acts += 1

    def lives(self):
        steps = max(0, self._acts - 1) // atari_collect.FRAME_SKIP  # one raw no-op stands before the first
        return self._lives[min(steps, len(self._lives)) - 1]

    def game_over(self):
        return False

    def getMinimalActionSet(self):  # noqa: N802
        return [SimpleNamespace(value=0)]

    def getScreen(self, out):  # noqa: N802
        pass

    def getRAM(self, out):  # noqa: N802
        pass

    def reset_game(self):
        self._acts = 0


def test_a_life_lost_after_one_was_gained_ends_an_episode(monkeypatch):
    monkeypatch.setattr(atari_collect, "MAX_NO_OPS", 1)
    monkeypatch.setattr(atari_collect, "emulator", lambda rom, seed: Counted([3, 3, 4, 4, 3, 3, 3]))
    play, starts = atari_collect.RandomPlay("any", "seed", 100), []
    for _ in range(5):
        starts.append(play.read(np.empty(0))[1])
        play.act()
    assert starts == [True, False, False, False, True]


def test_no_episode_is_longer_than_asked(tmp_path):
    shard = _collect(tmp_path / "a.zst", "pong", frames=100, max_episode_steps=30)
    assert np.flatnonzero(shard.starts).tolist() == [0, 30, 60, 90]


def test_equal_seeds_give_equal_frames_and_other_seeds_others(tmp_path):
    shards = [_collect(tmp_path / f"{i}.zst", seed=seed, frames=60) for i, seed in enumerate("aab")]
    assert shards[0].sha256 == shards[1].sha256 != shards[2].sha256
    assert (tmp_path / "0.zst").read_bytes() != (tmp_path / "2.zst").read_bytes()


def _screens(*rows):
    return [np.full((210, 160), 2 * row, np.uint8) for row in rows]


def test_a_colour_between_two_palette_colours_gets_a_code_of_its_own():
    colours, out = Colours(), np.empty((210, 160), np.uint8)
    red, blue = _screens(33, 65)
    brightest = np.maximum(PALETTE[33], PALETTE[65])
    assert not (brightest == PALETTE).all(1).any()
    for first, second in ((red, blue), (blue, red)):
        assert colours.merge(first, second, out) == 0
        assert (out == 128).all()
    assert colours.banks == [[int(brightest[0]) << 16 | int(brightest[1]) << 8 | int(brightest[2])]]


def test_a_full_bank_of_colours_is_followed_by_another_and_no_colour_is_lost():
    colours, out = Colours(), np.empty((210, 160), np.uint8)
    for first in range(20, 60):
        for second in range(70, 110, 3):
            number = colours.merge(*_screens(first, second), out)
            code = int(out[0, 0])
            rgb = colours.banks[number][code - 128] if code >= 128 else None
            found = PALETTE[code] if rgb is None else (rgb >> 16, rgb >> 8 & 255, rgb & 255)
            assert tuple(found) == tuple(np.maximum(PALETTE[first], PALETTE[second]))
    assert len(colours.banks) > 2
    assert max(map(len, colours.banks)) <= 127


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_shard_is_noticed(tmp_path, damage):
    path = tmp_path / "a.zst"
    _collect(path, frames=20)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"flip": content, "cut": content[:-5], "empty": b""}[damage])
    with pytest.raises(DamagedShardError):
        Shard(path, 20)


def test_nothing_is_left_behind_when_writing_fails(tmp_path, monkeypatch):
    def full(job, file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atari_collect, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        _collect(tmp_path / "a.zst")
    assert not list(tmp_path.iterdir())


class Opening(Counted):
    """Keeps what was done since it was made; `values` are its actions."""

    def __init__(self, values):
        super().__init__([3])
        self.values, self.done = values, []

    def act(self, action):
        super().act(action)
        self.done.append(action)

    def getMinimalActionSet(self):  # noqa: N802
        return [SimpleNamespace(value=value) for value in self.values]


@pytest.mark.parametrize(("values", "opening"), [((0, 1, 3), 1), ((0, 2, 5), 0)])
def test_a_game_begins_with_1_to_30_no_ops_and_a_step_of_fire_where_there_is_one(monkeypatch, values, opening):
    counts = set()
    for seed in range(300):
        ale = Opening(values)
        monkeypatch.setattr(atari_collect, "emulator", lambda rom, seed, ale=ale: ale)
        atari_collect.RandomPlay("any", str(seed), 100)
        assert ale.done[-4:] == [opening] * 4 and not any(ale.done[:-4])
        counts.add(len(ale.done) - 4)
    assert counts == set(range(1, 31))


def test_no_action_sticks():
    assert emulator("breakout", 0).getFloat("repeat_action_probability") == 0
