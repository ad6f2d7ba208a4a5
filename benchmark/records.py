"""One JSON file a run: written once, whole, with a checksum; what is read back is either that or named as damaged.

`runs/<dataset>/<method>/<digest>/seed-<i>.json` under the output folder; the digest covers all that training depends
on, so a record that exists is work done. Arrays for figures lie beside it as `seed-<i>.npz`.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas

SCHEMA = 1

Status = Literal["ok", "failed"]


@dataclass(frozen=True)
class Record:
    """A finished run. Every value is plain JSON; numbers are unrounded, an undefined one is None.

    `configuration` holds the resolved fields and versions of "method", "dataset" and "training"; `probes` maps each
    probe to its "digest" and "configuration"; `metrics` are rows of probe, target, metric, split, value and
    higher_is_better. `curve` holds (step, loss), and "loss_parts" of `training` the values at those steps of the
    named parts that are not the whole loss.
    """

    suite: str
    budget: str
    dataset: str
    method: str
    seed: int
    digest: str
    status: Status
    reason: str | None = None
    traceback: str | None = None
    configuration: dict[str, Any] = field(default_factory=dict)
    probes: dict[str, Any] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    curve: list[list[float]] = field(default_factory=list)
    timing: dict[str, float] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.dataset}, {self.method}, seed {self.seed}"

    @property
    def tuned(self) -> bool:
        """Did `--tune` choose its learning rate?"""
        return "tuned" in self.training

    @property
    def path(self) -> Path:
        """Where it lies under the output folder."""
        return run_path(self.dataset, self.method, self.digest, self.seed)

    @property
    def standing(self) -> list[dict[str, Any]]:
        """Its metrics, without what a probe that has failed since had answered before, maybe with other settings."""
        return [row for row in self.metrics if row.get("probe") not in self.notes.get("failed_probes", ())]

    @property
    def arrays(self) -> Path:
        """Where the arrays for figures lie under the output folder, if its probes left any."""
        return self.path.with_suffix(".npz")


class DamagedRecordError(ValueError):
    """A record file that cannot be trusted; the text says why."""


class UnreadableRecordError(DamagedRecordError):
    """One that may well be whole: this process may not read it, or only a newer version can."""


def run_path(dataset: str, method: str, digest: str, seed: int) -> Path:
    """The place of a run under the output folder."""
    return Path("runs", dataset, method, digest, f"seed-{seed}.json")


def digest(value: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()[:16]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or none: to a temporary name beside it, flushed to the disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")  # others may write it too, on any machine
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write(out: Path, record: Record) -> Path:
    """Write a record to its place under `out`; returns the path."""
    path = out / record.path
    write_atomically(path, encode(record))
    return path


def encode(record: Record) -> bytes:
    """The content of a record's file. Raises TypeError or ValueError for a value that JSON does not have."""
    whole = {"schema": SCHEMA, "checksum": checksum(record), **asdict(record)}
    return json.dumps(whole, indent=1, allow_nan=False).encode()


def checksum(record: Record) -> str:
    """What tells the record from any other, also of the same run."""
    return _checksum(asdict(record))


def read(path: Path) -> Record:
    """The record in a file.

    Raises DamagedRecordError when it is not JSON, cut off, altered, or of another schema, and UnreadableRecordError
    when it cannot be read or its schema is to come.
    """
    try:
        whole = json.loads(path.read_bytes(), parse_constant=_no_constant)
    except OSError as error:
        raise UnreadableRecordError(f"cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise DamagedRecordError(f"not JSON ({error})") from None
    if not isinstance(whole, dict):
        raise DamagedRecordError("not a JSON object")
    if (schema := whole.get("schema")) != SCHEMA:
        kind = UnreadableRecordError if isinstance(schema, int) and schema > SCHEMA else DamagedRecordError
        raise kind(f"schema {schema!r}, this version reads {SCHEMA}")
    body = {key: value for key, value in whole.items() if key not in ("schema", "checksum")}
    if whole.get("checksum") != _checksum(body):
        raise DamagedRecordError("its checksum does not match its content")
    if unknown := sorted(body.keys() ^ {f.name for f in fields(Record)}):
        raise DamagedRecordError(f"its fields differ from this version's: {', '.join(unknown)}")
    record = Record(**body)
    if record.path.parts != path.parts[-len(record.path.parts) :]:
        raise DamagedRecordError(f"it belongs to another place, {record.path}")
    return record


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in it")


def as_read(value: Any) -> Any:
    """A value of a record as it is once written and read: tuples have become lists."""
    return json.loads(_canonical(value))


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that it stays beside its successor."""
    number = 1
    while (target := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return path.rename(target)


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(body).encode()).hexdigest()


def read_all(out: Path) -> tuple[list[Record], list[tuple[Path, str]]]:
    """All records under `out`, in the order of their paths; and what is wrong with the damaged files, and the folders
    that cannot be read.
    """
    good, damaged = [], []

    def refused(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            damaged.append((Path(error.filename), f"cannot be read ({error.strerror})"))

    files, runs = [], out / "runs"
    for folder, inner, names in os.walk(runs, onerror=refused, followlinks=True):
        if len(Path(folder).relative_to(runs).parts) == 3:  # data set, method, digest
            inner.clear()
            files += [Path(folder, name) for name in names if fnmatch(name, "seed-*.json")]
    for path in sorted(files):
        try:
            good.append(read(path))
        except DamagedRecordError as error:
            damaged.append((path, str(error)))
    return good, damaged


def frame(out: Path | str, plugins: str | Iterable[str] = ()) -> pandas.DataFrame:
    """All metrics under an output folder, one row a metric, for work of one's own in a notebook.

    `settings` is what tells a run from the present defaults; of what is registered by none of the `plugins`, paths or
    names of modules, a part of its digest. Raises FileNotFoundError where there are no records, UserError for a plug-in
    that cannot be imported.
    """
    import pandas

    from benchmark.plugins import load_plugins
    from benchmark.variants import settings

    if not (Path(out) / "runs").is_dir():
        raise FileNotFoundError(
            f"there are no records under {str(out)!r}; name an output folder, which has `runs` in it"
        )
    load_plugins([plugins] if isinstance(plugins, str) else plugins)
    return pandas.DataFrame(tidy(read_all(Path(out))[0], settings))


def tidy(records: Iterable[Record], settings: Callable[[Record], str]) -> Iterator[dict[str, Any]]:
    """One row a metric: suite, budget, dataset, method, digest, seed, settings, probe, target, metric, split, ..."""
    for record in records:
        run = {key: getattr(record, key) for key in ("suite", "budget", "dataset", "method", "digest", "seed")}
        run |= {"settings": settings(record)}
        for row in record.standing:
            yield run | row
