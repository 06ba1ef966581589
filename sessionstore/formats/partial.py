"""Reading what another program wrote, up to its damage: what was read stays, and the report says where it ended.

Libraries raise exceptions of any class on damaged input, so every exception of theirs becomes one of ours here.
Not here: the libraries (each format).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from sessionstore.errors import Corrupt, SessionStoreError
from sessionstore.formats.protocol import ImportReport

Item = TypeVar("Item")


def until_damaged(
    items: Iterable[Item], report: ImportReport, path: Path, where: Callable[[], str] | None = None
) -> Iterator[Item]:
    """Yield items; a failure of their reader ends them and goes into the report.

    Raises: Corrupt: it failed before the first item.
    """
    count, source = 0, iter(items)
    while True:
        try:
            item = next(source)
        except StopIteration:
            return
        except SessionStoreError:
            raise
        except Exception as error:  # a library's reader may raise anything
            reason = f"{type(error).__name__}: {error}"[:300]
            if not count:
                raise Corrupt(f"unreadable from the start ({reason})", path) from error
            at = f", {where()}" if where is not None else ""
            report.problems.append(f"partial: it ends after {count} messages{at} ({reason})")
            return
        count += 1
        yield item
