"""Names for methods, data sets and probes.

    @methods.register("scn")
    @methods.register("scn-saliency", diversity_weight=0.0)
    @dataclass(frozen=True, kw_only=True)
    class SCN(Method): ...

A variant is the same class with other fields under its own name.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from types import NoneType
from typing import Any, Generic, TypeVar

from benchmark.contracts import Dataset, Method, Probe
from benchmark.errors import UserError, answering, unknown
from benchmark.machine import ROOT
from benchmark.records import as_read, digest

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps a name to a class and the fields that the name presets."""

    def __init__(self, kind: str, base: type[T]) -> None:
        self.kind, self.base = kind, base
        self._entries: dict[str, tuple[type[T], dict[str, Any]]] = {}

    def register(self, name: str | type, /, **presets: Any) -> Callable[[type[T]], type[T]]:
        """A class decorator. Raises UserError when the name is taken or the class lacks a part of the contract."""
        if not isinstance(name, str):  # the decorator without its brackets
            raise UserError(f'{self.kind} in {source(name)}: write @....register("a-name") above the class')

        def add(cls: type[T]) -> type[T]:
            if mistake := self._mistake(name, cls, presets):
                raise UserError(f"{self.kind} {name!r} in {source(cls)}: {mistake}")
            code(cls)  # type: ignore[arg-type]  # now, while the file is what was imported
            self._entries[name] = (cls, presets)
            return cls

        return add

    def _mistake(self, name: str, cls: type[T], presets: Mapping[str, Any]) -> str | None:
        """Why the class cannot stand under that name, and what would help."""
        if name in self._entries:
            other = self._entries[name][0]
            if source(other) == source(cls) and other.__module__ != cls.__module__:
                return "this file is imported twice; name it once, or only the plug-in that imports it"
            return f"the name is already taken by {source(self._entries[name][0])}; choose another"
        if name == "all" or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", name):
            return "a name is made of letters, digits and any of _ - + ., and is not 'all'; choose another"
        if self.base is Probe and "." in name:
            return "a probe's name has no dot, as one ends it in the names of its arrays; choose another"
        if not (isinstance(cls, type) and issubclass(cls, self.base)):
            return f"it must be a subclass of benchmark.contracts.{self.base.__name__}"
        if absent := sorted(getattr(cls, "__abstractmethods__", ())):
            return f"it lacks {', '.join(absent)}; benchmark/contracts.py says what each must do"
        if "__dataclass_params__" not in vars(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            return "put @dataclass(frozen=True, kw_only=True) directly above the class, below every register(...)"
        return _mistake_in_parts(cls, self.base) or _mistake_in_fields(cls, presets)

    def create(self, name: str, /, **overrides: Any) -> T:
        """The configured object of that name.

        Raises UserError for an unknown name, for fields that it refuses and for values that no record can hold.
        """
        cls, presets = self.entry(name)
        given = {**presets, **overrides}
        with answering(f"{self.kind} {name!r} with {given or 'its defaults'}"):
            plugin = cls(**given)
        for field, value in configuration(plugin).items():
            try:
                if digest(value) != digest(as_read(value)):  # a dict that has numbers for keys
                    raise TypeError
            except (TypeError, ValueError):
                told = f"{field} is {' '.join(repr(value).split())}, a {type(value).__name__}"
                expected = "a field holds finite numbers of Python's, texts, booleans, None, or tuples of these"
                raise UserError(f"{self.kind} {name!r} in {source(cls)}: {told}; {expected}") from None
        return plugin

    def entry(self, name: str) -> tuple[type[T], dict[str, Any]]:
        """The class behind a name and the fields that the name presets. Raises UserError for an unknown name."""
        if name not in self._entries:
            raise unknown(self.kind, name, self._entries)
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


def configuration(plugin: Any) -> dict[str, Any]:
    """The fields of a configured method, data set or probe and its version: what is hashed into a run's identity."""
    return {"version": type(plugin).version, **{f.name: getattr(plugin, f.name) for f in fields(plugin)}}


def _mistake_in_parts(cls: type, base: type) -> str | None:
    """A part of the contract that cannot be called as the contract says."""
    for name, part in vars(base).items():
        if not inspect.isfunction(part) or (name[0] == "_" and name != "__call__"):
            continue
        own, asked = inspect.getattr_static(cls, name), [*inspect.signature(part).parameters]
        if isinstance(own, staticmethod):
            own, asked = own.__func__, asked[1:]
        called = f"it is called with ({', '.join(asked)})"
        if not (callable(own) or hasattr(own, "__get__")):
            return f"{name} is {own!r}; {called}"
        if not inspect.isfunction(own):  # a property, say: it gives what is called
            continue
        takes = inspect.signature(own, follow_wrapped=False)
        try:
            takes.bind(*asked)
        except TypeError:
            return f"{name} takes {takes}; {called}"
    return None


def _mistake_in_fields(cls: type, presets: Mapping[str, Any]) -> str | None:
    known = {f.name: f.default is not MISSING or f.default_factory is not MISSING for f in fields(cls)}
    for name, value in _without_type(cls).items():
        if name in known or not any(hasattr(base, name) for base in cls.__bases__):
            right = f"{name}: {type(value).__name__} = {value!r}"
            return f"{name} = {value!r} has no type, so that it is no field; write {right}, or ClassVar for a constant"
    if strange := sorted(presets.keys() - known.keys()):
        return f"register(...) sets {', '.join(strange)}, but its fields are {', '.join(known)}"
    if bare := [name for name, has_default in known.items() if not has_default and name not in presets]:
        return f"{', '.join(bare)} must have a default, so that the name alone says what is run"
    return None


def _without_type(cls: type) -> dict[str, Any]:
    """Plain values in the body of a class that no annotation stands beside, but for constants in capitals."""
    plain, typed = (bool, int, float, str, tuple, NoneType), inspect.get_annotations(cls)
    values = {name: value for name, value in vars(cls).items() if isinstance(value, plain) and name not in typed}
    return {name: value for name, value in values.items() if not (name.startswith("_") or name.isupper())}


def source(cls: type, part: str = "") -> str:
    """The file that a class comes from, and the line of its method `part`; its module where there is no file."""
    try:
        if part:
            function = inspect.unwrap(getattr(cls, part))
            return f"{inspect.getsourcefile(function)}, line {inspect.getsourcelines(function)[1]}"
        return inspect.getsourcefile(cls) or cls.__module__
    except (TypeError, OSError, AttributeError):
        return cls.__module__


@cache
def code(cls: type) -> dict[str, str]:
    """What a record says of the code behind a class: its file, from the repository's root or by its bare name, and the
    SHA-256 of it as imported.

    Information only: a run's identity is the class's `version`.
    """
    path = Path(source(cls))
    if not path.is_file():
        return {"file": str(path)}
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    return {"file": name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


@cache
def code_below(cls: type) -> str:
    """The SHA-256 of the files that a class is made of, as imported: its own, and what they import of one another.

    These are files beside its own, and those of `methods`, `datasets` and `benchmark/modules`.
    """
    own = Path(source(cls)).parent
    folders = {own, ROOT / "methods", ROOT / "datasets", ROOT / "benchmark" / "modules"}
    found: dict[str, bytes] = {}
    waiting = [cls.__module__]
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)  # None: a function will import it
        file = Path(getattr(module, "__file__", None) or "") if module or "." in name else own / f"{name}.py"
        if name in found or file.parent not in folders or not file.is_file():
            continue
        found[name] = file.read_bytes()
        waiting += _imported(found[name], getattr(module, "__package__", None))
        owners = (getattr(value, "__module__", None) for value in vars(module).values()) if module else ()
        waiting += [owner for owner in owners if isinstance(owner, str)]  # of what came by no import
    return hashlib.sha256(b"".join(found[name] for name in sorted(found))).hexdigest()


def _imported(text: bytes, package: str | None) -> list[str]:
    """The modules that a file imports, at its top or inside a function, and what it takes from packages."""
    names = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names


methods: Registry[Method] = Registry("method", Method)  # type: ignore[type-abstract]
datasets: Registry[Dataset] = Registry("data set", Dataset)  # type: ignore[type-abstract]
probes: Registry[Probe] = Registry("probe", Probe)  # type: ignore[type-abstract]
