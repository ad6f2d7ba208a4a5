"""From names and `--set` to configured methods, data sets, probes and training; every value is checked and typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from benchmark.contracts import Dataset, Method, Probe
from benchmark.errors import UserError, answering, unknown
from benchmark.registry import Registry, datasets, methods, probes, source
from benchmark.suites import SUITES, Budget, Training

T = TypeVar("T")

KINDS: dict[str, Registry[Any]] = {"methods": methods, "datasets": datasets, "probes": probes}

DEFAULT = "atari"
"""The suite, where neither one nor a data set of one is named."""

LARGEST = 2**31 - 1
"""The largest whole number of a field: what indices and seeds take."""


@dataclass(frozen=True)
class Override:
    """One `--set place.name.field=value`; `name` is "*" for all of that kind and empty for training."""

    place: str
    name: str
    field: str
    value: str
    text: str


def parse_overrides(texts: Iterable[str]) -> list[Override]:
    """Read `--set` arguments. Raises UserError for a malformed one, an unknown name, field or value."""
    return [_parse(text) for text in texts]


def _parse(text: str) -> Override:
    key, equals, value = text.partition("=")
    place, _, rest = key.strip().partition(".")
    if not equals:
        raise UserError(f"--set {text!r} has no '='; write methods.scn.diversity_weight=0 or training.steps=500")
    if place == "training":
        override = Override(place, "", rest, value.strip(), text)
        typed(Training, override)
        return override
    if place not in KINDS:
        if owner := next((kind for kind, registry in KINDS.items() if place in registry), None):
            meant = f"{owner}.{text.strip()}" if rest else f"{owner}.{place}.FIELD=VALUE"
            raise UserError(f"--set {text!r} does not say what {place!r} is; write {meant}")
        raise unknown(f"place in --set {text!r}:", place, [*KINDS, "training"])
    name, _, attribute = rest.rpartition(".")
    if not name:
        raise UserError(f"--set {text!r} names no field; write {place}.NAME.FIELD=VALUE, with * for all names")
    override = Override(place, name, attribute, value.strip(), text)
    _check(override, KINDS[place])
    return override


def _check(override: Override, registry: Registry[Any]) -> None:
    """Raise UserError for an unknown name or field, a value that does not fit, a field that the name presets."""
    if override.name != "*":
        cls, presets = registry.entry(override.name)
        typed(cls, override)
        if override.field in presets:
            preset = f"{override.field}={presets[override.field]}"
            raise UserError(f"--set {override.text!r}: {override.name!r} stands for {preset}; choose another name")
        return
    classes = {registry.entry(name)[0] for name in registry}
    owners = [cls for cls in classes if override.field in {f.name for f in fields(cls)}]
    if not owners:
        names = {f.name for cls in classes for f in fields(cls)}
        raise unknown(f"field in --set {override.text!r}:", override.field, names)
    for cls in owners:
        typed(cls, override)


def typed(cls: type, override: Override) -> Any:
    """The value of an override as the type of the field that it sets. Raises UserError when it does not fit."""
    with answering(f"--set {override.text!r}: the types of the fields in {source(cls)}"):
        hints = get_type_hints(cls)
    names = [f.name for f in fields(cls)]
    if override.field not in names:
        raise unknown(f"field in --set {override.text!r}:", override.field, names)
    # "none" is a text too, so that None comes first.
    for choice in sorted(_choices(hints[override.field]), key=lambda choice: choice is not NoneType):
        try:
            return _convert(override.value, choice)
        except ValueError:
            continue
    expected = " or ".join(_describe(choice) for choice in _choices(hints[override.field]))
    raise UserError(f"--set {override.text!r}: {override.value!r} is not {expected}")


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _convert(value: str, hint: Any) -> Any:
    if hint is NoneType and value.lower() == "none":
        return None
    if hint is bool and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if get_origin(hint) is Literal and value in (texts := {str(one): one for one in get_args(hint)}):
        return texts[value]
    if hint is str:
        return value
    if hint is int and float(value).is_integer() and 0 <= float(value) <= LARGEST:  # 1e3 too
        return int(float(value))
    if hint is float and isfinite(float(value)) and float(value) >= 0:  # no field of a benchmark is below zero
        return float(value)
    if get_origin(hint) is tuple:
        return tuple(_convert(part.strip(), get_args(hint)[0]) for part in value.split(","))
    raise ValueError(value)


def _describe(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"one or more of {_describe(get_args(hint)[0])}, with commas between"
    return {
        int: f"a whole number >= 0, at most {LARGEST}",
        float: "a finite number >= 0",
        bool: "true or false",
        NoneType: "none",
    }.get(hint, str(hint))


@dataclass(frozen=True)
class Configuration:
    """What to run: a suite at a budget with the user's overrides; the probes `asked`, or else the suite's."""

    suite: str
    budget: str
    overrides: tuple[Override, ...] = ()
    asked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.suite not in SUITES:
            raise unknown("suite", self.suite, SUITES)
        if self.budget not in SUITES[self.suite].budgets:
            raise unknown(f"budget of suite {self.suite!r}:", self.budget, SUITES[self.suite].budgets)

    def _budget(self, dataset: str) -> Budget:
        return SUITES[self.suite].budgets[self.budget].on(dataset)

    def _overrides(self, place: str, name: str, cls: type, presets: Iterable[str] = ()) -> dict[str, Any]:
        """The user's values for the fields of a class; "*" passes over what it does not have or the name presets."""
        able = {f.name for f in fields(cls)} - set(presets)
        here = [o for o in self.overrides if o.place == place]
        mine = [o for o in here if o.name == name or (o.name == "*" and o.field in able)]
        return {o.field: typed(cls, o) for o in mine}

    def training(self, dataset: str) -> Training:
        """Steps and frames a step on a data set."""
        return replace(self._budget(dataset).training, **self._overrides("training", "", Training))

    def method(self, name: str) -> Method:
        """The configured method: the suite's fields, the user's over them."""
        suite = SUITES[self.suite].methods.get(name, {})
        return methods.create(name, **{**suite, **self._overrides("methods", name, *methods.entry(name))})

    def dataset(self, name: str) -> Dataset:
        """The configured data set: the budget's fields where it has such, the user's over them.

        In a suite that has none of its kind it is as in the first that has: a game is small at the smoke budget of any.
        """
        cls, presets = datasets.entry(name)
        known = {f.name for f in fields(cls)}
        suite, alike = self._home(name, cls)
        data = SUITES[suite].budgets[self.budget].on(alike).data
        fitting = {key: value for key, value in data.items() if key in known}
        return datasets.create(name, **{**fitting, **self._overrides("datasets", name, cls, presets)})

    def _home(self, name: str, cls: type) -> tuple[str, str]:
        """The first suite, this one before all, that has the data set or else one of its kind, and which it has; this
        suite where none has.
        """
        able = [self.suite, *(suite for suite in SUITES if self.budget in SUITES[suite].budgets)]
        if homes := [suite for suite in able if name in SUITES[suite].datasets]:
            return homes[0], name
        pairs = ((suite, other) for suite in able for other in SUITES[suite].datasets)
        alike = ((suite, other) for suite, other in pairs if issubclass(cls, datasets.entry(other)[0]))
        return next(alike, (self.suite, name))

    def probes(self, dataset: str) -> Mapping[str, Probe]:
        """Those asked, else the suite's and those that no suite names: a user's own. Configured for a data set."""
        names = self.asked or (*SUITES[self.suite].probes, *unclaimed_probes())
        return {name: self.probe(name, dataset) for name in names}

    def probe(self, name: str, dataset: str) -> Probe:
        """The configured probe: the budget's fields, the user's over them.

        A suite that has neither the probe nor fields for it has those of the first that does: a decoder is short at the
        smoke budget of any.
        """
        overrides = self._overrides("probes", name, *probes.entry(name))
        able = [self.suite] if name in SUITES[self.suite].probes else [self.suite, *SUITES]
        budgets = [SUITES[suite].budgets[self.budget] for suite in able if self.budget in SUITES[suite].budgets]
        preset = (budget.on(dataset).probes.get(name) for budget in budgets)
        return probes.create(name, **{**next(filter(None, preset), {}), **overrides})


def unclaimed_probes() -> list[str]:
    """The registered probes that no suite names, but for those that are asked by name only."""
    claimed = {name for suite in SUITES.values() for name in suite.probes}
    return [name for name in probes if name not in claimed and not probes.entry(name)[0].optional]


def datasets_by_suite(suite: str | None, text: str | None) -> dict[str, tuple[str, ...]]:
    """The suites named, or all, with the data sets to run in each.

    Where none is named, those of the data sets if these have one, else `DEFAULT`. A suite alone lends its budgets and
    probes to any data set; of several, those that have it count. Raises UserError for a name that is not known, and for
    a data set of none of several suites.
    """
    suites = select("suite", suite, SUITES, default=SUITES) if suite else _suites_of(text)
    theirs = {name: SUITES[name].datasets for name in suites}
    named = select("data set", text, datasets, default=[d for name in suites for d in theirs[name]])
    if len(suites) == 1:
        return {suites[0]: named}
    if homeless := [name for name in named if not any(name in sources for sources in theirs.values())]:
        which = f"which one's budget and probes it is to have: --suite {'|'.join(suites)}"
        raise UserError(f"data set {homeless[0]!r} is in none of several suites; say {which}")
    chosen = {name: tuple(d for d in sources if d in named) for name, sources in theirs.items()}
    return {name: sources for name, sources in chosen.items() if sources}


def _suites_of(text: str | None) -> tuple[str, ...]:
    named = set(select("data set", text, datasets, default=()))
    theirs = {name: named & set(suite.datasets) for name, suite in SUITES.items()}
    at_home = named and named == set().union(*theirs.values())
    return tuple(name for name, some in theirs.items() if some) if at_home else (DEFAULT,)


def select(kind: str, text: str | None, known: Iterable[str], default: Iterable[str]) -> tuple[str, ...]:
    """The names in a list with commas or blanks, in its order, each once; None, or "all" among them, means `default`.

    Raises UserError for a name that is not known.
    """
    known = list(known)
    if text is None:
        return tuple(default)
    names = text.replace(",", " ").split()
    if not names:
        raise UserError(f"no {kind} named in {text!r}; name some, or all; known: {', '.join(sorted(known))}")
    for name in names:
        if name not in known and name != "all":
            raise unknown(kind, name, known)
    return tuple(default) if "all" in names else tuple(dict.fromkeys(names))
