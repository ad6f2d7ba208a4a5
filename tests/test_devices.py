"""Data parallel: a batch shared among devices gives what one device gives, to rounding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.command import main
from benchmark.devices import check_share
from benchmark.errors import UserError

ROOT = Path(__file__).resolve().parent.parent

SCRIPT = """
import json, sys
from pathlib import Path
import jax, numpy as np
from dataclasses import replace
from benchmark import plan
from benchmark.checkpoints import Checkpoints
from benchmark.plugins import load_plugins
from benchmark.configure import Configuration
from benchmark.devices import mesh
from benchmark.program import make_program, on_device, run_keys

load_plugins()
(run,) = plan.runs(Configuration("synthetic", "smoke"), ["setcon-fm"], ["gridworld"], 1)
run = replace(run, training=replace(run.training, frames_per_step=16 * 8))
splits = on_device(run.dataset.load(None, lambda line: None))

programs = {devices: make_program(run, splits, mesh(devices)) for devices in (1, 8)}

def fit(devices, checkpoints=None, stop_after=None):
    program, (init_key, key, _) = programs[devices], run_keys(0)
    def on_step(step, loss, parts):
        if step == stop_after:
            raise KeyboardInterrupt
    return program.kernel.fit(program.initialise(init_key), splits.train.data, 4, key, on_step, checkpoints)

one, eight = fit(1), fit(8)
checkpoints = Checkpoints(Path(sys.argv[1]), every=0)
try:
    fit(8, checkpoints, stop_after=3)
except KeyboardInterrupt:
    pass
moved = fit(1, checkpoints)
print(json.dumps({"curves": [f.curve for f in (one, eight, moved)], "resumed": moved.steps}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Losses of 4 steps on one device, on 8, and begun on 8 and finished on one."""
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path_factory.mktemp("checkpoints"))]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_eight_devices_see_the_candidates_that_one_sees(found):
    one, eight, _ = np.array(found["curves"])
    np.testing.assert_allclose(eight, one, rtol=1e-5)


def test_a_checkpoint_of_eight_devices_goes_on_one(found):
    one, _, moved = np.array(found["curves"])
    assert found["resumed"] == 4 - 2
    np.testing.assert_allclose(moved, one, rtol=1e-5)


def test_more_devices_than_there_are_are_one_line(tmp_path, capsys):
    arguments = ["--datasets", "tiny", "--methods", "scn", "--budget", "smoke", "--out", str(tmp_path)]
    assert main([*arguments, "--devices", "1000"]) == 2
    assert "--devices 1000: JAX finds 1 here (cpu); ask for 1 at most" in capsys.readouterr().err


def test_a_batch_that_does_not_divide_is_one_line():
    check_share(16, 8, "scn on pong")
    with pytest.raises(UserError, match="--devices 8 does not divide the batch of 12 of scn on pong"):
        check_share(12, 8, "scn on pong")
