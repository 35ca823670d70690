"""Time of each augmentation per batch, compared with the training step that waits for it."""

from collections.abc import Callable
from functools import partial

from torchvision.transforms import v2

from facerec.data.augmentation.affine import Rotation, Scale, Shear, Translation
from facerec.data.augmentation.by_torchvision import Torchvision
from facerec.data.augmentation.erasing import Erasing
from facerec.data.augmentation.jitter import Jitter
from facerec.data.augmentation.low_resolution import LowResolution
from facerec.data.augmentation.random_numbers import augment_batch
from facerec.data.augmentation.scale_crop import ScaleCrop
from facerec.data.loading import flip_at_random
from facerec.perf.comparison import Case, Rounds
from facerec.perf.network_speed import DEPTHWISE, KINDS, TrainingStep, random_images
from facerec.perf.setting import Setting
from facerec.perf.timing import Effort, alternate, milliseconds

ONE_BY_ONE = "torchvision's GaussianBlur, image by image"
STEP, FLIP = f"training step, {DEPTHWISE}", "horizontal flip"
_TRANSFORMS = (Rotation, Shear, Scale, ScaleCrop, Translation, Erasing, Jitter, LowResolution)
_SEED = (1, 0, 0, 0)


def cases(effort: Effort) -> list[Case]:
    """Return the case of the smallest network at the paper's image size, whose training step is the shortest."""
    setting = Setting(0.1, 4, 32) if effort.quick else Setting(0.1, 128)
    return [Case("augmentation", f"{setting}: a batch", "ms", partial(_measure, setting, effort))]


def _measure(setting: Setting, effort: Effort) -> Rounds:
    images = random_images(KINDS[DEPTHWISE], setting.batch, setting.side).clamp_(-1, 1)
    contenders: dict[str, Callable[[], object]] = {STEP: TrainingStep(KINDS[DEPTHWISE], setting)}
    contenders[FLIP] = partial(flip_at_random, images, _SEED)
    for transform in _TRANSFORMS:
        contenders[transform.__name__] = partial(augment_batch, images, {"it": transform()}, _SEED)
    contenders[ONE_BY_ONE] = partial(augment_batch, images, {"it": Torchvision(v2.GaussianBlur(5))}, _SEED)
    return milliseconds(alternate(contenders, effort))
