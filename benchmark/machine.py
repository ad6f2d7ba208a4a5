"""What this machine is, and how JAX is set up on it: allocator, kept programs, compiler options, provenance."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmark.errors import UserError

ROOT = Path(__file__).resolve().parent.parent

ALLOCATOR = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=100000000000:glibc.malloc.trim_threshold=100000000000"
"""Keeps freed blocks in the process: glibc would give a step's buffers back to the kernel and fault them in again."""

CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT"}
"""Matrix products and convolutions through XNNPACK's successor; XLA's own convolutions are 2 to 4 times slower."""

RUN_ONCE = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
"""For a CPU's program that runs once or a few times: optimising its code takes longer than running it."""

FEW_STEPS = 10
"""The most steps of a training whose program counts as such."""


def tune_allocator() -> None:
    """Start this process again with the allocator's settings, which glibc reads only at the start (Linux, once)."""
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = ALLOCATOR
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def cache_folder() -> Path:
    """`$SLOTBENCH_CACHE`, else the user's cache folder. Raises UserError when it cannot be written."""
    import platformdirs

    path = Path(os.environ.get("SLOTBENCH_CACHE") or platformdirs.user_cache_dir("slotbench")).expanduser()
    return writable(path, "the cache folder", "set SLOTBENCH_CACHE to a folder that can be written")


def writable(path: Path, what: str, remedy: str) -> Path:
    """The folder, made if it was not there. Raises UserError when it is a file or cannot be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink(missing_ok=True)  # a process of that number on another machine may have been here too
    except OSError as error:
        raise UserError(f"{what} {str(path)!r} cannot be written ({error.strerror}); {remedy}") from None
    return path


def set_up_jax(cache: Path) -> None:
    """Keep compiled programs between processes."""
    import jax

    kept = cache / "compiled"
    with suppress(OSError):  # a full disk leaves empty files, which JAX would warn of for ever
        for program in kept.glob("*-cache"):
            if not program.stat().st_size:
                program.unlink()
    jax.config.update("jax_compilation_cache_dir", str(kept))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def compile_(function: Callable[..., Any], *arguments: Any, donate: tuple[int, ...] = (), seldom: bool = False) -> Any:
    """The function compiled ahead of time for these arguments, with this backend's best options.

    One that runs `seldom` is compiled in less time, for a CPU.
    """
    import jax

    options = _usable(CPU_OPTIONS) | (_usable(RUN_ONCE) if seldom else {})
    return jax.jit(function, donate_argnums=donate, compiler_options=options or None).lower(*arguments).compile()


def jit_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled at its first call, in the least time: for what runs once or a few times."""
    import jax

    return jax.jit(function, compiler_options=_usable(RUN_ONCE) or None)


def _usable(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the compiler options that this jaxlib knows; none where the backend is not a CPU."""
    return {name: value for name, value in options.items() if _known(name, value)}


@cache
def _known(option: str, value: Any) -> bool:
    import jax

    if jax.default_backend() != "cpu":
        return False
    try:
        jax.jit(lambda x: x + 1, compiler_options={option: value})(0)
    except Exception:  # jaxlib raises its own runtime error for an option that it does not know
        return False
    return True


def threads() -> int:
    """Cores that this process may use, hence threads that XLA and BLAS start."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@cache
def commit() -> str:
    """The repository's commit, with "+" after it when files differ from it; "unknown" outside a repository."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@cache
def uncommitted() -> frozenset[str]:
    """The repository's files, from its root, that are not as they were committed or never were; none outside one."""
    try:
        changed, others = _git("diff", "--name-only", "--relative", "-z", "HEAD"), _git("ls-files", "--others", "-z")
    except (OSError, subprocess.CalledProcessError):
        return frozenset()
    return frozenset(filter(None, f"{changed}\0{others}".split("\0")))


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def summary() -> str:
    """Device, compiler options and allocator as they are on this machine, in one text."""
    known = provenance()
    options = ", ".join(f"{key}={value}" for key, value in known["compiler_options"].items()) or "none"
    allocator = os.environ.get("GLIBC_TUNABLES", "its own")
    return (
        f"  {known['device']}, {known['threads']} threads; compiler options: {options}; allocator: {allocator}; "
        f"float32 products: {known['product_precision']}"
    )


@cache
def provenance() -> dict[str, Any]:
    """What produced a record: commit, versions, device, threads.

    `product_precision` is JAX's for float32 products: "default" is float32 on a CPU, TF32 on an NVIDIA GPU that has it.
    """
    import jax

    try:
        device = jax.devices()[0]
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"JAX cannot start its device ({reason}); JAX_PLATFORMS=cpu does without it") from None
    packages = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "ale-py")
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in packages},
        "device": f"{device.platform}: {device.device_kind}",
        "threads": threads(),
        "compiler_options": _usable(CPU_OPTIONS),
        "product_precision": jax.config.jax_default_matmul_precision or "default",  # type: ignore[attr-defined]
    }
