"""The data modules of segmentation, one per kind of data."""

from dataclasses import dataclass

from facerec.checks import check_counts
from facerec.data.fundus.dofe_archive import read_dofe
from facerec.data.fundus.domain_folders import read_domain_folders
from facerec.data.fundus.drawn_eyes.drawn_source import DrawnEyes
from facerec.data.fundus.drawn_eyes.looks import LOOKS
from facerec.data.fundus.masked_source import MaskedSource
from facerec.data.fundus.segmentation_datamodule import SegmentationDataModule
from facerec.data.source import OnProblem, refuse
from facerec.errors import InputError, suggestion
from facerec.files import in_home


@dataclass(kw_only=True, eq=False, repr=False)
class FundusData(SegmentationDataModule):
    """Photographs in a folder per domain: ``root/DOMAIN/image``, ``root/DOMAIN/mask`` and ``root/splits.csv``.

    Args:
        root: the folder of all data.
    """

    root: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self.root = in_home(self.root)

    def open_source(self, on_problem: OnProblem = refuse) -> MaskedSource:
        return read_domain_folders(self.root, self.domains, on_problem)


@dataclass(kw_only=True, eq=False, repr=False)
class DofeData(SegmentationDataModule):
    """DoFE's archive as downloaded: domains drishti_gs, rim_one, refuge and refuge_val.

    Args:
        root: the folder of ``Domain1`` to ``Domain4``.
    """

    root: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self.root = in_home(self.root)

    def open_source(self, on_problem: OnProblem = refuse) -> MaskedSource:
        return read_dofe(self.root, self.domains, on_problem)


@dataclass(kw_only=True, eq=False, repr=False)
class DrawnEyesData(SegmentationDataModule):
    """Drawn eyes of four clinics: domains drawn_a, drawn_b, drawn_c and drawn_d.

    Args:
        num_train: training images per domain.
        num_test: test images per domain.
        side: height and width of a drawn image and its mask, in pixels.
    """

    num_train: int = 50
    num_test: int = 20
    side: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(num_train=self.num_train, num_test=self.num_test)

    def open_source(self, on_problem: OnProblem = refuse) -> MaskedSource:
        names = tuple(LOOKS) if self.domains is None else tuple(self.domains)
        for domain in names:
            if domain not in LOOKS:
                problem = f"data.domains names {domain!r}, which is no drawn domain"
                raise InputError(f"{problem}: {suggestion(domain, LOOKS)}")
        return DrawnEyes(self.num_train, self.num_test, side=self.side, domain_names=names)
