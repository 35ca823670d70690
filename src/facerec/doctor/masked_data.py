"""The whole check of photographs with masks: open the data, measure all pairs, judge the measurements."""

from collections.abc import Sequence
from dataclasses import dataclass

from facerec.data.fundus.segmentation_datamodule import SegmentationDataModule
from facerec.data.fundus.unseen_domain import leave_out
from facerec.doctor.colours import judge_colours
from facerec.doctor.duplicates import find_similar
from facerec.doctor.findings import Finding, Report, Wrong, report, unless_refused
from facerec.doctor.geometry import count_sizes
from facerec.doctor.mask_findings import judge_masks, judge_repeated, judge_splits
from facerec.doctor.mask_summary import summary_of
from facerec.doctor.mask_survey import Domain, survey_masks

_ALL = "all data"


@dataclass(frozen=True, kw_only=True)
class MaskReport(Report):
    """The result of `check_masked_data`.

    Attributes:
        images: number of images with a mask.
        domains: what `summary_of` returns, by domain.
        image_sizes, unreadable, problems, findings: see `Report`.
    """

    images: int
    domains: dict[str, dict[str, object]]
    image_sizes: dict[str, int]
    unreadable: list[dict[str, str | int]]
    problems: list[str]
    findings: list[Finding]


def check_masked_data(module: SegmentationDataModule) -> MaskReport:
    """Check all images and masks of ``module``, those of the unseen domain too.

    Every image and mask is decoded, in worker processes, with a progress bar on standard error. A defective file or
    line of a list does not keep the others from being checked.
    """
    wrong, problems = Wrong(_ALL, named="file"), []
    source = unless_refused(lambda: module.open_source(wrong), problems)
    domains = [] if source is None else survey_masks(source, module.num_workers or 0)
    if source is not None and module.unseen is not None:
        unseen = module.unseen
        unless_refused(lambda: leave_out(source, unseen, module.held_out, module.held_out_seed), problems)
    found = [*_unopened(problems), *wrong.findings(), *_judge(module, domains)]
    parts = [domain.part for domain in domains]
    return MaskReport(
        images=sum(map(len, domains)),
        domains={domain.name: summary_of(domain, found) for domain in domains},
        image_sizes=count_sizes(parts),
        unreadable=[
            {"image": part.source.name(index), "reason": reason}
            for part in parts
            for index, reason in part.reasons.items()
        ],
        problems=problems,
        findings=sorted(found, key=lambda finding: finding.severity != "error"),
    )


def _judge(module: SegmentationDataModule, domains: Sequence[Domain]) -> list[Finding]:
    size, parts = (module.image_size[0], module.image_size[1]), [domain.part for domain in domains]
    pairs = find_similar(parts) if parts else []
    return [
        *(finding for domain in domains for finding in judge_masks(domain, size)),
        *judge_colours(parts, "the retina"),
        *judge_splits(domains),
        *judge_repeated(domains, pairs),
    ]


def _unopened(problems: Sequence[str]) -> list[Finding]:
    sentence = "training would stop at each of these: fix it as described"
    return report("unopened_parts", _ALL, sentence, [{"problem": each} for each in problems], severity="error")
