"""What every contestant does, one method an operation: the same sessions for all of them.

Not here: the limit (limit), our own engines (ours), other libraries (peers), what is run (workloads).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

SITES = ("Rotterdam", "Hamburg", "Valencia", "Gothenburg")


class System:
    """One way of keeping sessions, in a folder of its own.

    Args:
        folder: made when it is not there.
    """

    #: The number of sessions from which on filling takes too long to be measured.
    most = 1_000_000
    #: Whether a create and an update that returned survive a power cut.
    durable = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys: list[Any] = []

    def fill(self, count: int) -> None:
        """Hold this many sessions, made in the quickest way."""
        for number in range(count):
            self.create(number)

    def create(self, number: int) -> None:
        """Make a session, and remember its key."""
        raise NotImplementedError

    def change(self, number: int, **changes: Any) -> None:
        """Change fields of a session."""
        raise NotImplementedError

    def count_up(self, key: Any) -> None:
        """Add one to a counter of a session: read, change and write, as one step if the system has such a step."""
        raise NotImplementedError

    def counted(self, key: Any) -> int:
        """Return that counter."""
        raise NotImplementedError

    def append(self, record: dict[str, Any]) -> None:
        """Add a record to a log."""
        raise NotImplementedError

    def append_many(self, records: list[dict[str, Any]]) -> None:
        """Add records to a log, in the quickest way."""
        for record in records:
            self.append(record)

    def list_cold(self) -> int:
        """Return the number of sessions in a sorted list of all heads, made by a new handle."""
        raise NotImplementedError

    def filter_cold(self) -> int:
        """Return how many have metadata.num_drones=5, found by a new handle."""
        raise NotImplementedError

    def get(self, number: int) -> None:
        """Read one session by its key, by a new handle."""
        raise NotImplementedError

    def close(self) -> None:
        """Close files."""


def session_of(number: int) -> dict[str, Any]:
    """Return a session of some 630 bytes of JSON; the eighth part has five drones."""
    minute, second = divmod(number, 60)
    hour, minute = divmod(minute, 60)
    day, hour = divmod(hour, 24)
    month, day = divmod(day, 28)
    created = f"2026-{month % 12 + 1:02d}-{day + 1:02d}T{hour:02d}:{minute:02d}:{second:02d}.{number % 1000000:06d}Z"
    return {
        "session_id": f"{created[:4]}{created[5:7]}{created[8:10]}{hour:02d}{minute:02d}-Flight-{number}",
        "uuid": f"019ab000-0000-7000-8000-{number:012x}",
        "session_name": f"Flight {number}",
        "status": "completed",
        "workflow_state": "EXECUTE",
        "created_at": created,
        "updated_at": created,
        "base_position": [0.0, 0.0, 0.0],
        "num_buildings": number % 5,
        "metadata": metadata_of(number),
    }


def metadata_of(number: int) -> dict[str, Any]:
    """Return what people write into a session."""
    return {
        "num_drones": number % 8,
        "pilot": ("Ada", "Grace", "Katherine")[number % 3],
        "site": SITES[number % 4],
        "wind_mps": number % 13 / 2,
        "batch": number // 100,
        "purpose": "facade scan and clean, north side, second attempt after the wind had dropped below the limit",
        "checks": ["battery", "tether", "rtk", "cartridge"],
        "weather": {"condition": "light", "gusts_mps": 4.5, "visibility_m": 9000},
    }


def log_record(number: int) -> dict[str, Any]:
    """Return a log record of some 130 bytes of JSON."""
    return {
        "from": "scout-1",
        "to": "climber-2",
        "type": "report",
        "level": "info",
        "message": f"facade {number} scanned",
        "data": {"x": 1.5, "y": number * 0.25, "ok": True},
    }
