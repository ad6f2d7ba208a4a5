"""AtariARI's labels beside any Gymnasium environment of the Arcade Learning Environment.

env = AtariLabels(gymnasium.make("ALE/Pong-v5"))
_, info = env.reset()
info["labels"]["ball_x"]
"""

from typing import Any, SupportsFloat

import gymnasium

from benchmark.errors import UserError
from datasets.atari_labels import Game, games, labels_from_ram


class AtariLabels(gymnasium.Wrapper):
    """Puts `info["labels"]` (name -> byte, 0 to 255) into what reset and step return.

    The labels are of the same instant as the newest frame of the observation. Goes around any stack of wrappers that
    hands on one environment. Raises UserError when the environment is not an ALE game of the label table.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.game = _game_of(env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Passes on what the environment returns, labels added."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, "labels": self.labels()}

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Passes on what the environment returns, labels added."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, "labels": self.labels()}

    def labels(self) -> dict[str, int]:
        """The labels of this instant."""
        return labels_from_ram(self.game, self.unwrapped.ale.getRAM())  # type: ignore[attr-defined]


def _game_of(env: gymnasium.Env) -> Game:
    rom = getattr(env.unwrapped, "_game", None)
    if rom is None or not hasattr(env.unwrapped, "ale"):
        raise UserError(f"{env} is not an environment of ale-py; make one, such as gymnasium.make('ALE/Pong-v5')")
    for game in games().values():
        if game.rom == rom:
            return game
    raise UserError(f"the ROM {rom!r} of {env} has no labels; those with labels: {', '.join(games())}")
