"""The files in docs/add-a-method.md, as a reader would use them: pasted elsewhere, or dropped into the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import records
from benchmark.check import dataset_checks, method_checks, probe_checks
from benchmark.check.__main__ import main as check
from benchmark.check.outcome import title
from benchmark.registry import methods

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs" / "add-a-method.md").read_text()
FILES = dict(re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))
FOLDERS = {"nearness.py": "methods", "foresight.py": "methods", "drift.py": "datasets", "restlessness.py": "probes"}
ASKED = ["--methods", "nearness", "--datasets", "drift", "--budget", "smoke", "--set", "training.steps=2"]


def run(repository: Path, where: Path, *arguments: str) -> str:
    """The command's output, started in the folder `where`."""
    command = [sys.executable, str(repository / "run_benchmark.py"), *ASKED, "--out", str(where / "out"), *arguments]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def only_record(out: Path) -> records.Record:
    (record,) = records.read_all(out)[0]
    assert record.status == "ok"
    return record


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Path:
    """A folder outside the repository that holds nothing but its files."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def test_the_guide_has_four_files_and_a_method_takes_40_lines_at_most():
    assert FILES.keys() == FOLDERS.keys()
    assert max(len(FILES[name].splitlines()) for name in ("nearness.py", "foresight.py")) <= 40


def test_frames_that_are_not_bytes_are_refused(tmp_path):
    """In a process of its own, without the checks of shapes that the tests have."""
    floats = FILES["drift.py"].replace(".astype(np.uint8)", ".astype(np.float32) / 255")
    (tmp_path / "drift.py").write_text(floats)
    command = [sys.executable, str(ROOT / "run_benchmark.py"), "--plugin", "drift.py", "--methods", "random-cnn"]
    command += ["--datasets", "drift", "--suite", "atari", "--budget", "smoke", "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    (record,) = records.read_all(tmp_path / "out")[0]
    assert done.returncode == 1 and "frames are float32 of shape (40, 4, 84, 84, 3); expected uint8" in record.reason


def test_pasted_or_dropped_in_the_files_train_alike_and_appear_in_the_tables(elsewhere, tmp_path):
    shown = run(ROOT, elsewhere, *(word for name in FILES for word in ("--plugin", name)))
    assert "nearness" in shown
    pasted = only_record(elsewhere / "out")
    assert {row["probe"] for row in pasted.metrics} == {"linear", "diagnostics", "restlessness"}
    assert pasted.provenance["code"]["method"]["file"] == "nearness.py"

    for package in ("benchmark", "methods", "datasets", "probes", "results/papers"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "run_benchmark.py", tmp_path)
    for name, package in FOLDERS.items():
        (tmp_path / package / name).write_text(FILES[name])
    run(tmp_path, tmp_path)
    dropped = only_record(tmp_path / "out")
    assert dropped.path == pasted.path and dropped.metrics == pasted.metrics
    assert dropped.provenance["code"]["method"]["file"] == "methods/nearness.py"
    assert dropped.provenance["code"]["method"]["sha256"] == pasted.provenance["code"]["method"]["sha256"]


@pytest.mark.parametrize(
    ("name", "like"),
    [("nearness", "gridworld"), ("foresight", "gridworld"), ("drift", None), ("restlessness", "drift")],
)
def test_the_files_keep_what_they_must(elsewhere, capsys, registries, name, like):
    plugins = [word for file in FILES for word in ("--plugin", str(elsewhere / file))]
    code = check([name, *plugins, *(["--datasets", like] if like else [])])
    shown = capsys.readouterr().out
    asked = {
        "methods": lambda: method_checks.checks(methods.entry(name)[0]),
        "datasets": lambda: dataset_checks.CHECKS,
        "probes": lambda: probe_checks.CHECKS,
    }[FOLDERS[f"{name}.py"]]()
    assert code == 0 and all(f"  ok     {title(each)}\n" in shown for each in asked), shown
    assert shown.count("  ok  ") == len(asked) >= 6
