"""The page of pictures: a section a finding."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facerec.doctor.findings import Finding
from facerec.errors import InputError
from facerec.plots.contact_sheet import Section, write_contact_sheet


def write_pictures(findings: Sequence[Finding], path: Path) -> None:
    """Show what can be shown of each finding that has pictures."""
    sections = [_section(finding) for finding in findings if finding.pictures]
    write_contact_sheet(sections or [Section("nothing to show", [], [])], path)


def _section(finding: Finding) -> Section:
    title = f"{finding.severity}: {finding.name.replace('_', ' ')}, {finding.part} ({finding.count:,})"
    images, captions = [], []
    for picture in finding.pictures:
        try:
            images.append(picture.source.load(picture.index))
        except InputError:
            images.append(np.full((96, 96, 3), 255, np.uint8))
        captions.append(picture.caption)
    return Section(title, images, captions)
