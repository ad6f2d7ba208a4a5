"""The command on the tiny data set, each run a second or two."""

from pathlib import Path

from benchmark.command import main

SMALL = ["--datasets", "tiny", "--set", "training.steps=2", "--set", "training.frames_per_step=4", "--budget", "smoke"]


def command(out: Path, *arguments: str) -> int:
    return main([*SMALL, "--out", str(out), *arguments])
