"""Backbones: frames -> a grid of features, chosen by the data set so that all methods of a table share it."""

import jax
from flax import nnx

from benchmark.errors import UserError, unknown
from benchmark.modules.cswm_backbones import CSWMLarge, CSWMMedium, CSWMSmall
from benchmark.modules.nature_cnn import NatureCNN
from benchmark.modules.pixelwise import Pixelwise
from benchmark.types import DatasetSpec

Backbone = NatureCNN | Pixelwise | CSWMSmall | CSWMMedium | CSWMLarge

BACKBONES: dict[str, type[Backbone]] = {
    "nature_cnn": NatureCNN,
    "pixelwise": Pixelwise,
    "cswm_small": CSWMSmall,
    "cswm_medium": CSWMMedium,
    "cswm_large": CSWMLarge,
}
"""What `DatasetSpec.backbone` may name."""


def backbone_of(spec: DatasetSpec) -> type[Backbone]:
    """The data set's. Raises UserError for a name that is none."""
    if spec.backbone not in BACKBONES:
        raise unknown(f"backbone of data set {spec.name!r}:", spec.backbone, BACKBONES)
    return BACKBONES[spec.backbone]


def grid_of(backbone: Backbone, spec: DatasetSpec, least: int) -> tuple[int, int, int]:
    """Rows, columns and features of its maps. Raises UserError where a side has fewer than `least` positions."""
    frame = jax.ShapeDtypeStruct((1, *spec.frame_shape), "float32")
    try:
        rows, columns, features = jax.eval_shape(lambda x: nnx.clone(backbone)(x), frame).shape[1:]
    except (TypeError, ValueError, ZeroDivisionError):  # what comes of frames smaller than a kernel
        rows, columns, features = 0, 0, backbone.num_features
    if min(rows, columns) < least:
        height, width, _ = spec.frame_shape
        raise UserError(
            f"data set {spec.name!r}: of frames of {height}x{width} {spec.backbone} leaves {rows}x{columns} positions, "
            f"at least {least}x{least} are needed; make the frames larger or name another backbone"
        )
    return rows, columns, features
