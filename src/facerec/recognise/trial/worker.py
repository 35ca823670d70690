"""What takes long, beside the page."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Worker:
    """Does one thing after the other, while the page goes on: a detector takes one image at a time."""

    executor: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    async def do(self, work: Callable[[], T]) -> T:
        """Return what ``work()`` returns."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, work)
