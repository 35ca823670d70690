"""Train the cells of a sweep that no other process has, whatever machine that is on."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from facerec.config.cells import SweepCell
from facerec.console import log
from facerec.runs.claims import ClaimLost, Claims
from facerec.runs.folder import is_finished

# With which SLURM and others tell a process which one it is of several of the same run; these are of different runs.
_OF_ONE_RUN = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_LOCALID")
_OF_ONE_RUN += ("SLURM_NODEID", "SLURM_NTASKS", "SLURM_STEP_ID", "JSM_NAMESPACE_RANK")

Failed = tuple[str, bool]  # why, and whether it would do so on any machine


class ClaimedCells:
    """Trains one cell after another, until no cell is free.

    Args:
        cells: of the sweep.
        train: trains one in this process, and returns why it failed, or None.
        stale: seconds after which a claim that was not renewed is nobody's.
    """

    def __init__(self, cells: Sequence[SweepCell], train: Callable[[SweepCell], Failed | None], stale: float) -> None:
        self.cells, self.train, self.claims = cells, train, Claims(stale)
        self._with_others: dict[Path, str] = {}

    def run(self) -> int:
        """Return the exit status: 1 if a cell failed here or, since the start, in another process."""
        for name in _OF_ONE_RUN:
            os.environ.pop(name, None)
        for cell in self.cells:
            self.claims.failure(cell.folder)  # of earlier starts, which are tried again
        while self._any_was_free() or self._any_may_become_free():
            pass
        return self._ended()

    def _any_was_free(self) -> bool:
        found = False
        self._with_others = {}
        for cell in self.cells:
            if not is_finished(cell.folder) and self.claims.failure(cell.folder) is None:
                found |= self._is_taken(cell)
        return found

    def _is_taken(self, cell: SweepCell) -> bool:
        """Train the cell, and return True, unless another process has it."""
        try:
            with self.claims.take(cell.folder) as holder:
                if holder is not None:
                    self._with_others[cell.folder] = holder
                    return False
                failed = self.train(cell)
                if failed is not None:
                    self.claims.fail(cell.folder, *failed)
        except ClaimLost:
            log(f"left to another process, since this one was not heard of for too long: {cell.folder}")
        return True

    def _any_may_become_free(self) -> bool:
        """Wait a moment, and return True, if a process that has a cell may be dead."""
        silent = [folder for folder in self._with_others if self.claims.is_silent(folder)]
        if silent:
            time.sleep(self.claims.renewed_every)
        return bool(silent)

    def _ended(self) -> int:
        failed = [cell for cell in self.cells if self.claims.failure(cell.folder) is not None]
        left = [c for c in self.cells if c not in failed and not is_finished(c.folder)]
        for cell in failed:
            failure = self.claims.failure(cell.folder)
            if failure is not None and failure.host != self.claims.host:
                log(f"failed: {cell.folder}: {failure.why} (on {failure.host})")
        for cell in left:
            if cell.folder in self._with_others:
                log(f"with {self._with_others[cell.folder]}: {cell.folder}")
        log(f"{len(self.cells) - len(failed) - len(left)} of {len(self.cells)} cells are finished, no other is free")
        return int(bool(failed))
