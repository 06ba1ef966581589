"""Texts of exceptions that can be stored, also of an exception whose own ``__str__`` fails.

Not here: where they are stored (session.recorder).
"""

from __future__ import annotations

import traceback
from typing import Any


def as_text(text: Any) -> str:
    """Return a text that can be stored: lone surrogates are written as escapes."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def reason_of(error: BaseException) -> str:
    """Return what an exception says on its last line, also when its own ``__str__`` fails."""
    try:
        return as_text("".join(traceback.format_exception_only(error)).strip()) or type(error).__name__
    except Exception as second:  # noqa: BLE001  # a method of the user's exception; it must not cost the run its end
        return f"{type(error).__name__} (its text cannot be had: {type(second).__name__})"
