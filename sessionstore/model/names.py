"""Session names and ids: pure functions, the same result on every operating system.

A sanitised name is a valid file name on Linux, macOS and Windows, and sanitising it again changes nothing.
Two ids whose :func:`collision_key` differ are two different files on all three.
Not here: which ids are taken (store), the name as it was typed (records keeps it in ``session_name``).
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from functools import lru_cache

from sessionstore.errors import InvalidName

DEFAULT_NAME = "session"
#: Bytes of a sanitised name in its longest normal form: with the 13 of the time stamp and a suffix it stays
#: below the 255 of ext4, APFS (UTF-8), HFS+ (decomposed) and NTFS (UTF-16 units).
MAX_NAME_BYTES = 180
#: Bytes of a name as it was typed; longer ones are refused, since the record must stay readable by hand.
MAX_TYPED_BYTES = 4096
_MAX_ID_BYTES = 255

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file (the superscripts become digits by NFKC)
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin|conout|(?:com|lpt)[0-9])", re.IGNORECASE)
# Letters and marks that show nothing (Default_Ignorable_Code_Point, Unicode DerivedCoreProperties.txt).
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# The same for ASCII, ten times as fast.
_DROPPED, _BLANKS = re.compile(r"[^\w\s-]"), re.compile(r"[\s-]+")
#: Windows refuses these in a name, and a name that ends in a dot or a blank.
_UNPORTABLE = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9])(?:\..*)?", re.IGNORECASE)
_STAMP = re.compile(r"[0-9]{12}")


def sanitise(name: str) -> str:
    """Return the part of a session id that stands for ``name``; never empty, and stable when repeated.

    Letters, digits, marks and underscores of any script stay (in NFKC form), blanks and dashes become one
    hyphen, everything else drops; edge hyphens are trimmed; Windows' reserved names get an underscore.
    """
    if name.isascii():
        kept = _trim(_trim(_BLANKS.sub("-", _DROPPED.sub("", name)))[:MAX_NAME_BYTES])
    else:
        kept = _sanitise_any_script(name)
    if not kept:
        return DEFAULT_NAME
    return kept + "_" if _RESERVED.fullmatch(kept) else kept


def _sanitise_any_script(name: str) -> str:
    kept = unicodedata.normalize("NFKC", name)
    # Dropping a character can let its neighbours compose, and NFKC can give blanks: both rounds are needed.
    kept = unicodedata.normalize("NFKC", _keep(kept))
    return _trim(_cut(_trim(_keep(kept))))


def _keep(text: str) -> str:
    """Keep what a file name may hold on every system, one hyphen for each run of blanks and dashes."""
    out: list[str] = []
    for char in _INVISIBLE.sub("", text):
        category = unicodedata.category(char)
        if category[0] in "LN" or char == "_":
            out.append(char)
        elif category[0] == "M":
            if out and out[-1] != "-":  # a mark needs something to stand on
                out.append(char)
        elif (category in ("Zs", "Zl", "Zp", "Pd") or char.isspace()) and out and out[-1] != "-":
            out.append("-")
    return "".join(out)


def _cut(text: str) -> str:
    """Return the longest prefix within the byte limit, in whichever normal form a file system stores."""
    size = 0
    for position, char in enumerate(text):
        size += max(len(char.encode()), len(unicodedata.normalize("NFD", char).encode()))
        if size > MAX_NAME_BYTES:
            return text[:position]
    return text


def _trim(text: str) -> str:
    return text.strip("-")


def check_typed_name(name: str) -> str:
    """Return ``name`` unchanged when it can be stored as typed.

    Raises:
        InvalidName: not text, over 4,096 bytes, or not encodable as UTF-8 (lone surrogates).
    """
    if not isinstance(name, str):
        raise InvalidName(f"a session name is text, not {type(name).__name__}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidName(f"the name holds a lone surrogate at position {error.start}") from error
    if size > MAX_TYPED_BYTES:
        raise InvalidName(f"the name has {size} bytes; at most {MAX_TYPED_BYTES} are stored")
    return name


def make_id(created: datetime, name: str | None, number: int = 1) -> str:
    """Return ``YYYYMMDDHHMM[-Name][-number]``; the number stands from 2 on, and never cuts the name.

    Args:
        created: an aware instant; its own zone decides the digits (the store passes UTC).
    """
    return numbered(id_of(minute_of(created), name), number)


def minute_of(created: datetime) -> str:
    """Return the 12 digits that an id begins with."""
    text = created.isoformat()  # a fifth of what strftime takes
    return f"{text[:4]}{text[5:7]}{text[8:10]}{text[11:13]}{text[14:16]}"


def id_of(minute: str, name: str | None) -> str:
    """Return the first id of a name in a minute."""
    return minute if name is None else f"{minute}-{sanitise(name)}"


def numbered(session_id: str, number: int) -> str:
    """Return the id of the n-th session of one name and minute."""
    return f"{session_id}-{number}" if number > 1 else session_id


def collision_key(folder_name: str) -> str:
    """Return what two names share when some file system takes them for one: case, width and normal form."""
    if folder_name.isascii():
        return folder_name.lower()
    text = unicodedata.normalize("NFKD", folder_name)
    for _ in range(2):  # the upper case of a small letter without capital twin can fold further (dotless i)
        text = unicodedata.normalize("NFKD", text.casefold().upper().casefold())
    return text


def is_session_folder_name(name: str) -> bool:
    """Whether a folder of this name may be a session: anything a person may have renamed it to, hidden ones not."""
    if not name or name[0] == "." or "/" in name or "\\" in name:
        return False
    if name.isascii():
        return name.isprintable() and len(name) <= _MAX_ID_BYTES
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in name):
        return False
    return len(name.encode()) <= _MAX_ID_BYTES


def portable_folder_name(name: str) -> str:
    """Return a folder name that every operating system takes; the same name when it is one already."""
    if is_portable_path(name) and is_session_folder_name(name):
        return name
    return sanitise(name.encode("utf-8", "replace").decode())


def is_portable_path(path: str) -> bool:
    """Whether every operating system takes each part of a relative path as it is."""
    return all(_is_portable(part) for part in path.split("/") if part)


@lru_cache(maxsize=4096)
def _is_portable(part: str) -> bool:
    return not (_UNPORTABLE.search(part) or is_device(part) or "\udc80" <= max(part) <= "\udcff")


def is_device(name: str) -> bool:
    """Whether a file of this name is a device on Windows."""
    return _DEVICE.fullmatch(name) is not None


def stamp_of(session_id: str) -> datetime | None:
    """Return the minute that an id begins with, or None for a renamed folder."""
    found = _STAMP.match(session_id)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(f"{found[0][:8]}T{found[0][8:]}Z")  # a tenth of what strptime takes
    except ValueError:
        return None


def check_file_name(name: str) -> str:
    """Return the name of an artifact unchanged when it is one and the same file on Linux, macOS and Windows.

    Letters, digits and marks of any script, blanks, ``. _ - + ( ) @ ,`` are kept; the rules of session ids hold for
    reserved names, the normal form and the length.

    Raises: InvalidName: with a name that can be stored.
    """
    if not isinstance(name, str):
        raise InvalidName(f"the name of a file is text, not {type(name).__name__}")
    stem, _, _ = name.partition(".")
    kept = "".join(char for char in unicodedata.normalize("NFC", name) if _fits_a_file(char)).strip(" .")
    kept = kept if not _RESERVED.fullmatch(stem.rstrip()) else f"{stem.rstrip()}_{kept[len(stem) :]}"
    if not kept or kept != name or len(name.encode()) > MAX_NAME_BYTES or name.startswith(".tmp-"):
        shown = kept.encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore") or DEFAULT_NAME
        raise InvalidName(f"{name!r} is not a portable file name; {shown!r} is")
    return name


def _fits_a_file(char: str) -> bool:
    if _INVISIBLE.match(char):
        return False
    return unicodedata.category(char)[0] in "LNM" or char in " ._-+()@,"
