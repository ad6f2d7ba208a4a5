"""A trained model's parameters as one `.npz` file, so that a new or mended probe need not train again."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from benchmark.records import Record, write_atomically


def save(path: Path, model: nnx.Module) -> str:
    """Write every variable of the model under its path; returns the file's SHA-256."""
    return save_named(path, {name: np.asarray(value) for name, value in _flat(model).items()})


def save_named(path: Path, arrays: dict[str, np.ndarray]) -> str:
    """Write named arrays as one `.npz` file, whole or not at all; returns its SHA-256."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def load_named(path: Path) -> dict[str, np.ndarray]:
    """The named arrays of an `.npz` file."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def intact(path: Path, sha256: str | None) -> bool:
    """Is the file there and as it was written?"""
    return sha256 is not None and path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def arrays_intact(out: Path, record: Record) -> bool:
    """Are the arrays that a record's probes left beside it, if any, still there and whole?"""
    sha256 = record.notes.get("arrays_sha256")
    return sha256 is None or intact(out / record.arrays, sha256)


def arrays_damaged(out: Path, record: Record) -> bool:
    """Is the file of these arrays there, with another hash than the record has?"""
    return (out / record.arrays).is_file() and not arrays_intact(out, record)


def load(path: Path, model: nnx.Module) -> nnx.Module:
    """Put the file's values into a model of the same structure, and return it.

    Raises ValueError when names or shapes differ.
    """
    values = load_named(path)
    expected = {name: value.shape for name, value in _flat(model).items()}
    if expected != {name: value.shape for name, value in values.items()}:
        raise ValueError(f"the parameters in {path.name} do not fit the model that the method builds now")
    graph, state = nnx.split(model)
    leaves, structure = jax.tree_util.tree_flatten_with_path(state)
    restored = [like(leaf, values[_name(keys)]) for keys, leaf in leaves]
    return nnx.merge(graph, jax.tree_util.tree_unflatten(structure, restored))


def _flat(model: nnx.Module) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(nnx.state(model))
    return {_name(keys): plain(leaf) for keys, leaf in leaves}


def _name(keys: Any) -> str:
    return jax.tree_util.keystr(keys)


def plain(leaf: Any) -> Any:
    """Random keys as the integers that they are; anything else as it is."""
    return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def like(leaf: Any, value: Any) -> Any:
    """A plain value as what `leaf` is: a random key, or an array of its type."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jax.numpy.asarray(value))
    return jax.numpy.asarray(value, leaf.dtype)
