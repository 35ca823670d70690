import torch
from says import refuses
from torchvision.transforms import v2

from facerec.data.augmentation.by_torchvision import Torchvision
from facerec.errors import InputError

IMAGES = (torch.rand(6, 3, 9, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1).contiguous(
    memory_format=torch.channels_last
)


def test_each_image_is_changed_with_a_seed_of_its_own():
    random = torch.rand(6, 1)
    changed = Torchvision(v2.RandomPerspective(p=1.0))(IMAGES, random)
    assert changed.is_contiguous(memory_format=torch.channels_last)
    for image, number, result in zip(IMAGES, random, changed, strict=True):
        torch.manual_seed(int(number.double() * 2**24))
        torch.testing.assert_close(result, v2.RandomPerspective(p=1.0)((image + 1) / 2) * 2 - 1)
    same = Torchvision(v2.RandomHorizontalFlip())(IMAGES[:1].expand(6, 3, 9, 8), torch.arange(6.0)[:, None] / 6)
    assert len({tuple(image.flatten().tolist()) for image in same}) == 2


def test_the_random_numbers_of_the_run_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Torchvision(v2.RandomPerspective(p=1.0))(IMAGES, torch.rand(6, 1, generator=torch.Generator()))
    assert torch.equal(torch.rand(3), expected)


def test_a_transform_that_changes_the_size_is_refused():
    with refuses("CenterCrop", "[3, 4, 4]", "[3, 9, 8]", error=InputError):
        Torchvision(v2.CenterCrop(4))(IMAGES, torch.rand(6, 1))


def test_what_is_no_transform_is_refused():
    with refuses("transform", "torchvision.transforms.v2", "'blur'"):
        Torchvision("blur")  # pyright: ignore[reportArgumentType]
