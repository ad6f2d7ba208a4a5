"""Which encoder belongs to which backbone, the same for all methods of a table without one of their own."""

from flax import nnx

from benchmark.modules.backbones import backbone_of
from benchmark.modules.cswm_encoder import MAPS, CSWMEncoder
from benchmark.modules.scn_encoder import SCNEncoder
from benchmark.types import DatasetSpec


def slot_encoder(spec: DatasetSpec, num_slots: int, slot_size: int, rngs: nnx.Rngs) -> SCNEncoder | CSWMEncoder:
    """The encoder that belongs to the data set's backbone, the same for all methods without one of their own.

    On C-SWM's backbones it is C-SWM's, as SCN's is on all others: there C-SWM has it too, as in SCN's comparison.
    """
    encoder = CSWMEncoder if spec.backbone in MAPS else SCNEncoder
    return encoder(spec, num_slots, slot_size, rngs)


def too_many_slots(spec: DatasetSpec, num_slots: int | None) -> str | None:
    """Why the backbone's features do not do for so many slots (None: the data set's); None if they do."""
    slots, features = num_slots or spec.num_slots, backbone_of(spec).num_features
    if spec.backbone in MAPS or features >= 2 * slots:
        return None
    return f"{slots} slots need {2 * slots} feature maps, {spec.backbone} has {features}"
