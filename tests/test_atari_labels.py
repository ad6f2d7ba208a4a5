"""The label table of the Atari games against the papers' counts and against what the emulator draws."""

import math
from dataclasses import astuple

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.records import digest
from benchmark.suites import SCN_GAMES
from datasets.atari_collect import PALETTE, emulator
from datasets.atari_labels import entropy, find_game, games, labels_from_ram

SCN_SLOTS = {
    "asteroids": 18,
    "berzerk": 13,
    "bowling": 2,
    "boxing": 2,
    "breakout": 2,
    "demonattack": 5,
    "freeway": 11,
    "frostbite": 10,
    "montezumarevenge": 3,
    "mspacman": 6,
    "pitfall": 4,
    "pong": 3,
    "privateeye": 2,
    "riverraid": 2,
    "seaquest": 10,
    "spaceinvaders": 3,
    "tennis": 3,
    "venture": 7,
    "videopinball": 3,
    "yarsrevenge": 4,
}


def test_the_twenty_games_of_scn_have_its_numbers_of_slots():
    assert {name: len(games()[name].objects) for name in SCN_GAMES} == SCN_SLOTS
    assert set(games()) - set(SCN_SLOTS) == {"battlezone", "hero", "qbert", "skiing"}


def test_every_label_is_a_byte_of_the_ram_and_every_coordinate_has_its_own_name():
    for game in games().values():
        assert all(0 <= label.ram < 128 for label in game.labels)
        names = [coordinate.name for coordinate in game.coordinates]
        assert len(set(names)) == len(names)
        assert {coordinate.axis for coordinate in game.coordinates} <= {"x", "y"}
        assert {coordinate.object for coordinate in game.coordinates} == set(range(len(game.objects)))


def test_objects_keep_the_order_in_which_the_table_names_them():
    assert find_game("pong").objects == ("player", "enemy", "ball")
    assert [c.name for c in find_game("asteroids").coordinates[:4]] == [
        "player_x",
        "player_y",
        "player_missile1_x",
        "player_missile2_x",
    ]


def test_a_byte_that_is_no_position_has_no_pixel():
    for game in games().values():
        assert not any(label.pixel and label.not_position for label in game.labels)


@pytest.mark.parametrize("name", games())
def test_number_of_actions_is_that_of_the_emulator(name):
    assert len(emulator(games()[name].rom, seed=0).getMinimalActionSet()) == games()[name].num_actions


def test_entropy_of_known_distributions():
    assert entropy(np.zeros(9, np.uint8)) == 0
    assert entropy(np.array([1, 2, 3, 4] * 5, np.uint8)) == pytest.approx(math.log(4))
    assert entropy(np.array([0, 0, 0, 7], np.uint8)) == pytest.approx(0.75 * math.log(4 / 3) + 0.25 * math.log(4))


def test_labels_are_read_from_their_addresses():
    ram = np.arange(128, dtype=np.uint8)
    assert labels_from_ram(find_game("pong"), ram) == {label.name: label.ram for label in find_game("pong").labels}


def test_an_unknown_game_is_answered_with_the_closest():
    with pytest.raises(UserError, match="did you mean 'pong'"):
        find_game("pongg")


SPRITES = [
    ("pong", "ball", (236, 236, 236), (2, 4)),
    ("boxing", "player", (214, 214, 214), (14, 47)),
    ("boxing", "enemy", (0, 0, 0), (14, 47)),
    ("breakout", "ball", (200, 72, 72), (2, 4)),
    ("mspacman", "enemy_blinky", (200, 72, 72), (8, 10)),
]


@pytest.mark.parametrize(("name", "thing", "colour", "size"), SPRITES)
def test_a_sprite_is_drawn_where_its_labels_say(name, thing, colour, size):
    game, code = find_game(name), int(np.flatnonzero((colour == PALETTE).all(1))[0])
    found = [_is_drawn(game, thing, screen, ram, code, size) for screen, ram in _play(game.rom, steps=150)]
    on_screen = [hit for hit in found if hit is not None]
    assert len(on_screen) > 20
    assert np.mean(on_screen) > 0.9


def _play(rom, steps):
    ale, rng = emulator(rom, seed=1), np.random.default_rng(0)
    actions = ale.getMinimalActionSet()
    for _ in range(steps):
        action = actions[rng.integers(len(actions))]
        for _ in range(rng.integers(3, 6)):
            ale.act(action)
        yield ale.getScreen() // 2, ale.getRAM()


def _is_drawn(game, thing, screen, ram, code, size):
    """None where the sprite would stand outside the screen or, by the conventions of these games, is not there."""
    byte = {label.axis: int(ram[label.ram]) for label in game.positions if label.object == thing}
    corner = {a: label.pixel for label in game.positions if label.object == thing for a in label.axis}
    x, y = (int(corner[axis][0] * byte[axis] + corner[axis][1]) for axis in "xy")
    if byte["x"] == 0 or byte["y"] == 0 or not (0 <= x < 152 and 30 <= y < 195):
        return None
    return bool((screen[y : y + size[1], x : x + size[0]] == code).any())


def test_the_table_is_the_one_that_was_checked_against_ataris_ram():
    """Most labels have no test by sprite above: whoever changes a byte or a pixel says so here too."""
    table = {name: [[*astuple(label)] for label in game.labels] for name, game in games().items()}
    assert digest(table) == "98e6a5c52e146f04"


def test_a_coordinate_is_named_after_its_object():
    for game in games().values():
        assert all(c.name == f"{game.objects[c.object]}_{c.axis}" for c in game.coordinates)
