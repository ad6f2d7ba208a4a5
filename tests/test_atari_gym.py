"""Labels beside Gymnasium's own Atari environments."""

import ale_py
import gymnasium
import numpy as np
import pytest

from benchmark.errors import UserError
from datasets.atari_gym import AtariLabels
from datasets.atari_labels import labels_from_ram

gymnasium.register_envs(ale_py)


@pytest.mark.parametrize("name", ["ALE/Pong-v5", "MsPacmanNoFrameskip-v4"])
def test_labels_are_those_of_the_ram_after_the_step(name):
    env = AtariLabels(gymnasium.make(name))
    _, info = env.reset(seed=0)
    for _ in range(50):
        assert info["labels"] == labels_from_ram(env.game, env.unwrapped.ale.getRAM())
        _, _, _, _, info = env.step(env.action_space.sample())


def test_the_ball_stands_in_the_observation_where_the_labels_say():
    env = AtariLabels(gymnasium.make("PongNoFrameskip-v4"))
    frame, info = env.reset(seed=0)
    hits = []
    for _ in range(600):
        x, y = info["labels"]["ball_x"] - 49, info["labels"]["ball_y"] - 14
        if 0 <= x < 158 and 40 <= y < 190:
            hits.append((frame[y : y + 4, x : x + 2] == 236).all(-1).any())
        frame, _, _, _, info = env.step(env.action_space.sample())
    assert len(hits) > 200
    assert np.mean(hits) > 0.95


def test_wrappers_around_and_inside_are_kept():
    inside = gymnasium.wrappers.GrayscaleObservation(gymnasium.make("PongNoFrameskip-v4"))
    env = gymnasium.wrappers.FrameStackObservation(AtariLabels(inside), 4)
    frames, info = env.reset(seed=0)
    assert frames.shape == (4, 210, 160)
    assert "ball_x" in info["labels"]
    assert "lives" in info


def test_an_environment_without_labels_is_refused_by_name():
    with pytest.raises(UserError, match=r"'alien'.*has no labels"):
        AtariLabels(gymnasium.make("ALE/Alien-v5"))
    with pytest.raises(UserError, match="not an environment of ale-py"):
        AtariLabels(gymnasium.make("CartPole-v1"))
