"""Backbones: frames -> a grid of features, chosen by the data set so that all methods of a table share it."""

from math import sqrt

import jax
from flax import nnx

from benchmark.errors import UserError, unknown
from benchmark.modules.convolution import convolve_in_cells
from benchmark.modules.cswm_backbones import CSWMLarge, CSWMMedium, CSWMSmall
from benchmark.modules.pixelwise import Pixelwise
from benchmark.types import Array, DatasetSpec, Float


class NatureCNN(nnx.Module):
    """The trunk of SCN's encoder (Racah & Chandar 2020, section 4): 210x160 frames -> 11x8 features.

    Three convolutions without padding, 32@8x8/4, 64@4x4/2, 128@4x4/2, ReLU between them and none after the last;
    orthogonal kernels with gain sqrt 2. Input in [0, 1].
    """

    num_features = 128

    def __init__(self, spec: DatasetSpec, rngs: nnx.Rngs) -> None:
        self.conv1 = _conv(spec.frame_shape[-1], 32, 8, 4, rngs)
        self.conv2 = _conv(32, 64, 4, 2, rngs)
        self.conv3 = _conv(64, self.num_features, 4, 2, rngs)

    def __call__(self, frames: Float[Array, "b h w c"]) -> Float[Array, "b y x f"]:
        # Frames need no gradient: on a CPU their layer is quicker as it is, on a GPU it is not.
        first = self.conv1(frames) if jax.default_backend() == "cpu" else convolve_in_cells(self.conv1, frames)
        return convolve_in_cells(self.conv3, jax.nn.relu(convolve_in_cells(self.conv2, jax.nn.relu(first))))


def _conv(inputs: int, outputs: int, kernel: int, stride: int, rngs: nnx.Rngs) -> nnx.Conv:
    orthogonal = nnx.initializers.orthogonal(sqrt(2))
    return nnx.Conv(inputs, outputs, (kernel, kernel), stride, padding="VALID", kernel_init=orthogonal, rngs=rngs)


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
