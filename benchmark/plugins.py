"""Files that register methods, data sets and probes: the repository's own, and a user's from anywhere."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.errors import RAISED, UserError, place
from benchmark.registry import code_below, datasets, methods, probes

REMEDY = "give the path of a Python file, or a module that can be imported"

_loaded: set[str] = set()


def load_plugins(plugins: Iterable[str] = ()) -> None:
    """Import the repository's methods, data sets and probes, then the user's, which are paths or names of modules.

    They register themselves. A plug-in that this process has loaded already is left alone, so any process may call
    this with the same list. Raises UserError, with file and line, for one that cannot be imported or adds nothing.
    """
    with _mistakes_named("the repository"):
        import datasets as _datasets  # noqa: F401
        import methods as _methods  # noqa: F401
        import probes as _probes  # noqa: F401
    for plugin in plugins:
        told = f"--plugin {plugin!r}"
        name = _file_module(Path(plugin), told) if _is_path(plugin) else plugin
        if name in _loaded:
            continue
        before = _names()
        _import(name, plugin, told)
        if _names() == before and not _owns_any(name):
            remedy = "name the files in it" if Path(plugin).is_dir() else "docs/add-a-method.md shows how"
            raise UserError(f"{told}: {_file(name)} registers no method, data set or probe; {remedy}")
        _loaded.add(name)
    for registry in (methods, datasets):
        for name in registry:
            code_below(registry.entry(name)[0])  # now, while the files are what was imported


def _is_path(plugin: str) -> bool:
    return plugin.endswith(".py") or plugin.startswith(".") or os.sep in plugin or Path(plugin).is_file()


def _file_module(path: Path, told: str) -> str:
    """The name under which the file is imported: its own, and what tells it from others of that name."""
    if not path.is_file() or path.suffix != ".py":
        what = "it is no Python file" if path.exists() else "there is no such file"
        what += "; between several there are blanks" if "," in str(path) else ""
        raise UserError(f"{told}: {what}; {REMEDY}")
    if b"\0" in path.read_bytes():
        raise UserError(f"{told}: it holds null bytes, as no Python file does; {REMEDY}")
    return f"{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"


def _import(name: str, plugin: str, told: str) -> None:
    """Import a plug-in, which may import what lies beside it; the repository's own packages come first."""
    beside = str(Path(plugin).resolve().parent if _is_path(plugin) else Path.cwd())
    if beside not in sys.path:
        sys.path.append(beside)
    with _mistakes_named(told):
        if _is_path(plugin):
            _execute(name, Path(plugin).resolve())
            return
        if there := _is_there(name):
            importlib.import_module(name)
    if not there:
        raise UserError(f"{told}: there is no module of that name; {REMEDY}")


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError as error:  # of the package that it is in, or of what that package imports
        if error.name and f"{module}.".startswith(f"{error.name}."):
            return False
        raise


def _execute(name: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    sys.modules[name] = module = importlib.util.module_from_spec(spec)  # where dataclasses look up annotations
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _names() -> set[tuple[str, str]]:
    return {(registry.kind, name) for registry in (methods, datasets, probes) for name in registry}


def _owns_any(module: str) -> bool:
    """Is a registered class from this module or package? So it is when another plug-in has imported it before."""
    owners = {registry.entry(name)[0].__module__ for registry in (methods, datasets, probes) for name in registry}
    return any(f"{owner}.".startswith(f"{module}.") for owner in owners)


def _file(module: str) -> str:
    return getattr(sys.modules[module], "__file__", None) or module


@contextmanager
def _mistakes_named(told: str) -> Iterator[None]:
    """Turns whatever importing raises, a file's `exit()` too, into a UserError that names file and line."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{told}: {place(error)}: {error}") from None
    except RAISED as error:
        reason = str(error).partition("\n")[0]
        if "non-frozen dataclass" in reason:
            reason += "; put @dataclass(frozen=True, kw_only=True) above the class"
        raise UserError(f"{told}: {place(error)}: {type(error).__name__}: {reason}") from None
