"""The stream of each topic: its name without what a stream's name may not hold, and never that of another topic.

Not here: writing (draft).
"""

from __future__ import annotations

import re

from sessionstore.session import stream_names

_RESERVED = {stream_names.MOTION, stream_names.EVENTS, stream_names.LOG, stream_names.CLOCK}
_MOST_CHARACTERS = 56


class TopicStreams:
    """Names of streams, by topic; a topic keeps its name."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken = set(_RESERVED)

    def of(self, topic: str) -> str:
        """Return the name of the stream of a topic: ``/uav1/pose`` is ``uav1_pose``."""
        if topic not in self._names:
            name = re.sub(r"[^A-Za-z0-9_]+", "_", topic).strip("_")[:_MOST_CHARACTERS] or "topic"
            label, number = name, 1
            while name.casefold() in self._taken:
                number += 1
                name = f"{label}_{number}"
            self._taken.add(name.casefold())
            self._names[topic] = name
        return self._names[topic]
