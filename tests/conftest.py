"""Checks every annotated array shape of the project while the tests run, and keeps JAX and the cache away from home."""

import gc
import os
import sys
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
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers, and the folders that it imports from, are forgotten after it."""
    for registry in (methods, datasets, probes):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setattr(plugins, "_loaded", set())
    monkeypatch.setattr(sys, "path", list(sys.path))
