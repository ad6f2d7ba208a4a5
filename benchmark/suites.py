"""Which data sets and probes make a suite, and what each budget spends on it: the engine's table of names."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Literal

from benchmark.errors import UserError

Fields = dict[str, Any]
"""Of a data set, a method or a probe, by name."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """`steps` of `frames_per_step` frames, cut to whole windows; the same for every method of a table.

    `probe_protocol` "joint" trains a decoder beside the model, on slots without their gradient, as Löwe et al. did;
    "frozen" trains it afterwards. `precision` "bfloat16" rounds the inputs of the products in training to it, and only
    these (`benchmark.precision`).
    """

    steps: int
    frames_per_step: int
    probe_protocol: Literal["frozen", "joint"] = "frozen"
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        for name in ("steps", "frames_per_step"):
            value = getattr(self, name)
            if not isfinite(value) or value < 1:
                raise UserError(f"training.{name} is {value}; it must be at least 1")

    @property
    def frames(self) -> int:
        """Frames that training sees, repetitions counted, before each step's are cut to whole windows."""
        return self.steps * self.frames_per_step


@dataclass(frozen=True)
class Budget:
    """What a suite spends on training, and the fields that it sets: of its data sets, and of its probes by name.

    `special` are the budgets of the data sets that need another than the rest.
    """

    training: Training
    data: Fields = field(default_factory=dict)
    probes: dict[str, Fields] = field(default_factory=dict)
    special: dict[str, Budget] = field(default_factory=dict)
    meaningful: bool = True
    """False for a plumbing test whose numbers mean nothing."""

    def on(self, dataset: str) -> Budget:
        """What is spent on that data set."""
        return self.special.get(dataset, self)


@dataclass(frozen=True)
class Suite:
    """Data sets and probes that belong together, and its budgets; "paper" is the protocol of the paper behind it.

    `methods` holds the fields of methods, by name, that the suite sets at every budget.
    """

    about: str
    datasets: tuple[str, ...]
    probes: tuple[str, ...]
    budgets: dict[str, Budget]
    methods: dict[str, Fields] = field(default_factory=dict)


def _decoders(fields: Fields) -> dict[str, Fields]:
    """The same for every probe that trains a decoder."""
    return dict.fromkeys(("decoder", "decoder-rollout", "decoder-whitened", "decoder-predicted"), fields)


def _with_balls(gridworld: Budget, training: Training, data: Fields, decoders: Fields | None = None) -> Budget:
    """GridWorld's budget, with that of Bouncing Balls beside it; None: the same decoders."""
    probes = _decoders(decoders) if decoders else gridworld.probes
    balls = replace(gridworld, training=training, data=data, probes=probes)
    return replace(gridworld, special={"bouncing_balls": balls})


SCN_GAMES = (
    "asteroids",
    "berzerk",
    "bowling",
    "boxing",
    "breakout",
    "demonattack",
    "freeway",
    "frostbite",
    "montezumarevenge",
    "mspacman",
    "pitfall",
    "pong",
    "privateeye",
    "riverraid",
    "seaquest",
    "spaceinvaders",
    "tennis",
    "venture",
    "videopinball",
    "yarsrevenge",
)

COLOURS = tuple(f"gridworld-colours-{n}-slots-{k}" for n, k in [(3, 4), (4, 4), (5, 4), (6, 4), (4, 5), (5, 6), (6, 7)])

SHORT_DECODERS: Fields = {
    "max_steps": 20,
    "round_steps": 10,
    "val_frames": 64,
    "frames_per_step": 32,
    "pixels_per_step": 4096,
}
LONG_DECODERS: Fields = {
    "max_steps": 100_000,
    "round_steps": 1_000,
    "patience": 10,
    "pixels_per_step": 262_144,
    "val_frames": 1024,
}

SLOW_DECODERS: Fields = {"max_steps": 2_500, "learning_rate": 4e-4, "patience": 20}
"""With the 8 frames a step that Bouncing Balls have, a decoder may paint the mean image for 500 steps or more."""

QUICK_WORLDS: Fields = {"train_size": 1_000, "probe_size": 500, "val_size": 100}
"""Test scenes are as many as in the paper: among fewer more predictions would be the nearest."""

CSWM_OWN: Fields = {"slot_size": None, "learning_rate": 5e-4}
"""C-SWM's settings on its own ground; its defaults are those of SCN's comparison."""

GRIDWORLD_BUDGETS = {
    "smoke": Budget(
        Training(steps=6, frames_per_step=16 * 8),
        data={"probe_size": 200, "val_size": 50, "test_size": 100},
        probes=_decoders(SHORT_DECODERS),
        meaningful=False,
    ),
    "quick": Budget(
        Training(steps=4_000, frames_per_step=128 * 8),
        probes=_decoders({"max_steps": 2_000}),
    ),
    "paper": Budget(
        Training(steps=100_000, frames_per_step=1024 * 8),
        probes=_decoders(LONG_DECODERS),
    ),
}

SUITES: dict[str, Suite] = {
    "atari": Suite(
        about="20 games, random agent: slot accuracy, compactness, modularity (Racah & Chandar 2020)",
        datasets=SCN_GAMES,
        probes=("linear", "diagnostics"),
        budgets={
            "smoke": Budget(
                Training(steps=6, frames_per_step=32),
                data={"train_frames": 1_500, "probe_frames": 1_500, "max_episode_steps": 100},
                meaningful=False,
            ),
            # The data sets' own defaults are the paper's frames. With a tenth of them even the ceiling's R² is below
            # zero on several games.
            "quick": Budget(Training(steps=400, frames_per_step=128)),
            # 100 epochs of 100,000 pairs in batches of 128.
            "paper": Budget(Training(steps=78_125, frames_per_step=256)),
        },
    ),
    "synthetic": Suite(
        about="GridWorld and Bouncing Balls: decoder MSE and FG-ARI of slots and predictions (Löwe et al. 2020)",
        datasets=("gridworld", "bouncing_balls"),
        probes=("decoder", "decoder-rollout", "masks", "colour-kmeans", "linear", "diagnostics"),
        budgets={
            "smoke": _with_balls(
                GRIDWORLD_BUDGETS["smoke"],
                Training(steps=6, frames_per_step=4 * 12),
                {"image_size": 16, "train_size": 40, "val_size": 8, "test_size": 16},
            ),
            "quick": _with_balls(
                GRIDWORLD_BUDGETS["quick"],
                Training(steps=2_000, frames_per_step=32 * 12),
                {"image_size": 32},
                SLOW_DECODERS,
            ),
            "paper": _with_balls(GRIDWORLD_BUDGETS["paper"], Training(steps=100_000, frames_per_step=128 * 12), {}),
        },
    ),
    "colours": Suite(
        about="GridWorld with 3 to 6 colours, as many slots as for 3 or one more than colours (Löwe et al. 2020)",
        datasets=COLOURS,
        probes=("decoder", "masks", "linear", "diagnostics"),
        budgets=GRIDWORLD_BUDGETS,
    ),
    "worlds": Suite(
        about="shapes, cubes, three_body: Hits@1 and MRR of predicted states, positions (Kipf et al. 2020)",
        datasets=("shapes", "cubes", "three_body"),
        probes=("ranking", "linear", "masks", "colour-kmeans", "diagnostics"),
        methods={"cswm": CSWM_OWN, "cswm-episode": CSWM_OWN},
        budgets={
            "smoke": Budget(
                Training(steps=6, frames_per_step=48),
                data={"train_size": 20, "probe_size": 20, "val_size": 10, "test_size": 20},
                probes={"colour-kmeans": {"num_clips": 1}},
                meaningful=False,
            ),
            "quick": Budget(
                Training(steps=400, frames_per_step=128),
                data=QUICK_WORLDS,
                special={"shapes": Budget(Training(steps=12_000, frames_per_step=256), data=QUICK_WORLDS)},
            ),
            # 100 epochs in batches of 1,024 pairs: of 100,000 on the grid, of 55,000 in three_body.
            "paper": Budget(
                Training(steps=9_766, frames_per_step=2_048),
                special={"three_body": Budget(Training(steps=5_372, frames_per_step=2_048))},
            ),
        },
    ),
}


def paper_share(suite: str, dataset: str, training: Training) -> float | None:
    """Frames that training sees on a data set of the suite, as a share of the paper's; None for any other data set, and
    for a suite that has no such budget.
    """
    paper = SUITES[suite].budgets.get("paper")
    if dataset not in SUITES[suite].datasets or paper is None:
        return None
    return training.frames / paper.on(dataset).training.frames


def percent(share: float) -> str:
    """A share of the paper's training as it is printed: "0.26 %", "15 %", "100 %"."""
    return f"{100 * share:{'.0f' if share > 0.99 else '.2g'}} %"


def suite_with(kind: Literal["datasets", "probes"], name: str) -> str:
    """The first suite that has a data set or a probe of that name; the first of all where none has."""
    return next((suite for suite in SUITES if name in getattr(SUITES[suite], kind)), next(iter(SUITES)))
