"""Names for methods, data sets and probes.

    @methods.register("scn")
    @methods.register("scn-saliency", diversity_weight=0.0)
    @dataclass(frozen=True, kw_only=True)
    class SCN(Method): ...

A variant is the same class with other fields under its own name.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

from benchmark.contracts import Dataset, Method, Probe
from benchmark.errors import UserError, unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps a name to a class and the fields that the name presets."""

    def __init__(self, kind: str, base: type[T]) -> None:
        self.kind, self.base = kind, base
        self._entries: dict[str, tuple[type[T], dict[str, Any]]] = {}

    def register(self, name: str, **presets: Any) -> Callable[[type[T]], type[T]]:
        """A class decorator. Raises UserError when the name is taken or the class lacks a part of the contract."""

        def add(cls: type[T]) -> type[T]:
            self._check(name, cls)
            self._entries[name] = (cls, presets)
            return cls

        return add

    def _check(self, name: str, cls: type[T]) -> None:
        place = f"{self.kind} {name!r} in {_source(cls)}"
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):  # it becomes the name of a folder
            raise UserError(f"{place}: a name is made of letters, digits, - and _; choose another")
        if name in self._entries:
            raise UserError(f"{place}: the name is already taken by {_source(self._entries[name][0])}; choose another")
        if not (isinstance(cls, type) and issubclass(cls, self.base)):
            raise UserError(f"{place}: it must be a subclass of benchmark.contracts.{self.base.__name__}")
        if absent := sorted(getattr(cls, "__abstractmethods__", ())):
            raise UserError(f"{place}: it lacks {', '.join(absent)}; benchmark/contracts.py says what each must do")
        if not (is_dataclass(cls) and cls.__dataclass_params__.frozen):  # type: ignore[attr-defined]
            raise UserError(f"{place}: put @dataclass(frozen=True, kw_only=True) above the class")

    def create(self, name: str, **overrides: Any) -> T:
        """The configured object of that name. Raises UserError for an unknown name."""
        cls, presets = self.entry(name)
        return cls(**{**presets, **overrides})

    def entry(self, name: str) -> tuple[type[T], dict[str, Any]]:
        """The class behind a name and the fields that the name presets. Raises UserError for an unknown name."""
        if name not in self._entries:
            raise unknown(self.kind, name, self._entries)
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)


def configuration(plugin: Any) -> dict[str, Any]:
    """The fields of a configured method, data set or probe and its version: what is hashed into a run's identity."""
    return {"version": type(plugin).version, **{f.name: getattr(plugin, f.name) for f in fields(plugin)}}


def _source(cls: type) -> str:
    try:
        return inspect.getsourcefile(cls) or cls.__module__
    except TypeError:
        return cls.__module__


methods: Registry[Method] = Registry("method", Method)  # type: ignore[type-abstract]
datasets: Registry[Dataset] = Registry("data set", Dataset)  # type: ignore[type-abstract]
probes: Registry[Probe] = Registry("probe", Probe)  # type: ignore[type-abstract]
