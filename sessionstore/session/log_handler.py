"""The log of a program as a stream of its session: a ``logging.Handler``.

Extra fields (``extra={...}``) are kept, one that has no JSON form as its text; what comes after the end of the run is
dropped without a word.
Not here: the stream (stream_writer), other things that a run says (recorder).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sessionstore.errors import StreamClosed
from sessionstore.model import values

if TYPE_CHECKING:
    from sessionstore.session.recorder import Recorder

#: What every log record has; all else came by ``extra=``.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_REPR_LENGTH = 200
#: Fields of a program that a log line has itself; they are kept under ``extra``.
_OF_A_LOG_LINE = ("level", "message", "t_s")


class SessionLogHandler(logging.Handler):
    """Sends log lines into the stream ``log`` of a session; what cannot be stored is reported as logging does."""

    def __init__(self, recorder: Recorder, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._recorder = recorder

    def emit(self, record: logging.LogRecord) -> None:
        try:
            names = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}
            level = names[max(10, min(50, record.levelno // 10 * 10))]
            extra = {key: value for key, value in vars(record).items() if key not in _OWN}
            storable, refused = values.storable(extra, "extra")
            as_text = {key: repr(extra[key])[:_REPR_LENGTH] for key in refused if key in extra}
            data: dict[str, Any] = {"logger": record.name, **values.plain(storable, "extra", {}), **as_text}
            if clashing := {key: data.pop(key) for key in _OF_A_LOG_LINE if key in data}:
                data["extra"] = clashing
            if record.exc_info:
                data["traceback"] = logging.Formatter().formatException(record.exc_info)
            self._recorder.log(record.getMessage(), level=level, **data)
        except StreamClosed:
            return  # the run has ended
        except Exception:  # noqa: BLE001  # the contract of logging: a handler never raises
            self.handleError(record)
