"""Checks every annotated array shape of the project while the tests run, and keeps JAX and the cache away from home."""

import gc
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Tests compile more than they compute. A flag that a version of jaxlib does not know ends the process.
FLAGS = ["--xla_backend_optimization_level=0"]
if version("jaxlib").startswith("0.10."):
    FLAGS += ["--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1"]
gc.set_threshold(100_000)  # tracing makes many objects, few of them in cycles
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))
install_import_hook(["benchmark", "methods", "datasets", "probes"], "shapes.check")

import tiny  # noqa: E402, F401  registers the small data set, with the hook in place
from small import command  # noqa: E402

from benchmark import plugins  # noqa: E402
from benchmark.registry import datasets, methods, probes  # noqa: E402
from benchmark.report.figures import FIGURES  # noqa: E402

plugins.load_plugins()


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that all tests of a session share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _private_cache(session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOTBENCH_CACHE", str(session_cache))


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command draws no figures: they are drawn where they are tested, not after every run."""
    for suite in FIGURES:
        monkeypatch.setitem(FIGURES, suite, ())


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """Also where the tests were started in the background of a script, which leaves it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers, and the folders that it imports from, are forgotten after it."""
    for registry in (methods, datasets, probes):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setattr(plugins, "_loaded", set())
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A small grid that has been run."""
    out = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLOTBENCH_CACHE", str(out / "cache"))
        assert command(out, "--methods", "random-cnn,scn,supervised", "--seeds", "2") == 0
    return out


@pytest.fixture
def copy(finished, tmp_path, monkeypatch) -> Path:
    """The finished grid with its cache, to be spoiled at will."""
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.setenv("SLOTBENCH_CACHE", str(tmp_path / "copy" / "cache"))
    return tmp_path / "copy"


@pytest.fixture
def asked(monkeypatch):
    """The probes that are asked, in order."""
    names = []
    for name in ("linear", "diagnostics"):
        probe = probes.entry(name)[0]
        call = probe.__call__
        monkeypatch.setattr(probe, "__call__", lambda *a, name=name, call=call: (names.append(name), call(*a))[1])
    return names


@pytest.fixture
def broken_probe(monkeypatch):
    """A linear probe that raises, and what mends it."""
    linear = probes.entry("linear")[0]
    working = linear.__call__

    def broken(self, *arguments):
        raise RuntimeError("the line is bent")

    monkeypatch.setattr(linear, "__call__", broken)
    return lambda: monkeypatch.setattr(linear, "__call__", working)
