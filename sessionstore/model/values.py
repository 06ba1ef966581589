"""Values of real programs as JSON: one table, one function (:func:`plain`), and a hook for further types.

Metadata, data, figures, tables and the records of streams follow this table:

    None, bool, int, float, str      as they are; integers are exact at any size up to 4,200 digits
    NaN, infinities                  null; where, and which one, is recorded (``not_finite``; a stream counts them in
                                     "nan"), or refused without it
    int, float, bool, enum keys      text; keys that become equal are refused
    tuple, set, frozenset            list (a set is sorted)
    aware datetime                   ISO 8601 in UTC, microseconds, Z
    naive datetime                   ISO 8601 with the offset that the local zone has at that moment
    date, time, timedelta            ISO 8601, ISO 8601, seconds
    Decimal                          a number when a float holds exactly these digits, else text; NaN: null
    Fraction, UUID, path             text
    Enum                             its value
    dataclass, attrs, pydantic       an object of its fields
    bytes, bytearray, memoryview     {"base64": "..."}
    numpy scalars and arrays         numbers, lists; datetime64 in UTC, timedelta64 in seconds, NaT: null
    pandas scalars, Series, frames   the same; NA and NaT: null; a frame is an object of columns
    anything else                    what :func:`register` knows, or InvalidRecord with the place

No library is imported for this: a type is recognised by its attributes. Values are copied, nothing is shared.
Not here: JSON text (json_text), which fields a record has (records), lines of streams (session.stream_record).
"""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Set
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from sessionstore.errors import InvalidRecord
from sessionstore.model.instants import utc_text as utc_text

MAX_DEPTH = 200
_MAX_BITS = 14_000
_SMALL = 1 << 62
_SCALARS: frozenset[type] = frozenset((str, int, float, bool, type(None)))
_NUMBERS: frozenset[type] = frozenset((int, float, bool))
_CONTAINERS: frozenset[type] = frozenset((dict, list, tuple))
_LONG = 16
Known = TypeVar("Known")
#: What was registered in this process; for reading.
registered: dict[type, Callable[[Any], Any]] = {}


class Plain(dict[str, Any]):
    """An object that holds values of JSON's own types only, with text keys and finite numbers, by the word of its
    maker: it is stored without being looked through.
    """


def register(kind: type[Known], to_json: Callable[[Known], Any]) -> None:
    """Store values of a type (and of its subclasses) as what ``to_json`` returns for them.

    A later call for the same type replaces the earlier one; what is returned may hold any value of the table.

    Raises: InvalidRecord: JSON has this type itself (and a tuple is a list).
    """
    if kind in _SCALARS or kind in _CONTAINERS:
        raise InvalidRecord(f"{kind.__name__} has a form in JSON already; register a class of your own")
    registered[kind] = to_json


def plain(value: Any, where: str = "value", not_finite: dict[str, str] | None = None, _depth: int = 0) -> Any:
    """Return ``value`` as dicts with text keys, lists, text, numbers, booleans and None; nothing shared with it.

    Args:
        where: the name of the value in messages.
        not_finite: gets the JSON Pointer and the name of each NaN or infinity that became null; None refuses them.

    Raises:
        InvalidRecord: naming the place: NaN or an infinity, keys that become equal, a lone surrogate, nesting beyond
            200 levels (or a cycle), or a type without a JSON form.
    """
    if not_finite is None:
        return _Copy(None).of(value, where, "", _depth)
    return _Copy(not_finite).of(value, where, "", _depth)


def is_json(value: Any, depth: int = 0) -> bool:
    """Whether a dict, list or tuple holds values of JSON's own types only, with text keys, at most 200 levels.

    :func:`plain` would return such a value as it is, or refuse a part of it: what holds NaN, a lone surrogate or an
    integer of more than 4,200 digits also counts as such a value.
    """
    if type(value) is dict:
        for key in value:
            if type(key) is not str:
                return False
        value = value.values()
    if len(value) > _LONG and _SCALARS.issuperset(map(type, value)):  # three times as fast, with a start of its own
        return True
    for item in value:
        kind = type(item)
        if kind not in _SCALARS and (depth > MAX_DEPTH - 2 or kind not in _CONTAINERS or not is_json(item, depth + 1)):
            return False
    return True


def salvaged(value: Any, where: str, not_finite: dict[str, str], refused: dict[str, str]) -> Any:
    """Return what of ``value`` has a JSON form, as :func:`plain`; what has none is left out (in a list: null).

    Args:
        refused: gets the JSON Pointer and the reason of each part that was left out.
    """
    try:
        return _Copy(not_finite, refused).of(value, where, "", 0)
    except InvalidRecord as error:
        refused[""] = str(error)
        return None


def storable(values: Mapping[Any, Any], where: str) -> tuple[dict[Any, Any], dict[str, str]]:
    """Return the keys whose values can be stored, as they are; and the others with the reason."""
    kept, refused = {}, {}
    for key, value in values.items():
        try:
            plain({key: value}, where, {})
            kept[key] = value
        except InvalidRecord as error:
            refused[str(key).encode("utf-8", "backslashreplace").decode()] = str(error)
    return kept, refused


def still_null(not_finite: Mapping[str, str], record: Mapping[str, Any]) -> dict[str, str]:
    """Return the entries of ``not_finite`` whose value in the record is still the null that replaced it."""
    return {pointer: word for pointer, word in not_finite.items() if _is_null(record, pointer)}


def _is_null(value: Any, pointer: str) -> bool:
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return False
    return value is None


class _Copy:
    """One run of :func:`plain` over a value."""

    __slots__ = ("_not_finite", "_refused")

    def __init__(self, not_finite: dict[str, str] | None, refused: dict[str, str] | None = None) -> None:
        self._not_finite = not_finite
        self._refused = refused

    def of(self, value: Any, where: str, pointer: str, depth: int) -> Any:
        if value is None or value is True or value is False:
            return value
        if type(value) is int:
            if value.bit_length() > _MAX_BITS:  # 4,300 digits, beyond which Python reads none
                raise InvalidRecord(f"{where}: an integer of more than 4,200 digits")
            return value
        if type(value) is float:
            return value if math.isfinite(value) else self._null(value, where, pointer)
        if type(value) is not str and registered and (convert := _hook_of(type(value))) is not None:
            return self.of(convert(value), where, pointer, depth + 1) if depth < MAX_DEPTH else self._too_deep(where)
        if isinstance(value, str) and not isinstance(value, Enum):
            return _text(value, where)
        if depth >= MAX_DEPTH:
            self._too_deep(where)
        if isinstance(value, Mapping):
            return self._object(value, where, pointer, depth)
        if isinstance(value, list | tuple | set | frozenset):
            items = _ordered(value, where) if isinstance(value, set | frozenset) else value
            if _are_finite_numbers(items):
                return list(items)
            return [
                item if _is_plain(item) else self._part(item, f"{where}[{n}]", f"{pointer}/{n}", depth)
                for n, item in enumerate(items)
            ]
        return self.of(_foreign(value, where), where, pointer, depth + 1)

    def _too_deep(self, where: str) -> NoReturn:
        raise InvalidRecord(f"{where}: nested beyond {MAX_DEPTH} levels, or it holds itself")

    def _object(self, value: Mapping[Any, Any], where: str, pointer: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in value.items():
            try:
                name = _text(key, where) if type(key) is str else key_text(key, where)
                if name in found:
                    raise InvalidRecord(f"{where}: two keys become the text {name!r}")
            except InvalidRecord as error:
                self._refuse(error, f"{pointer}/{key!r}")
                continue
            if _is_plain(item):
                found[name] = item
                continue
            place = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            try:
                found[name] = self.of(item, f"{where}.{name}", place, depth + 1)
            except InvalidRecord as error:
                self._refuse(error, place)
        return found

    def _part(self, item: Any, where: str, pointer: str, depth: int) -> Any:
        try:
            return self.of(item, where, pointer, depth + 1)
        except InvalidRecord as error:
            self._refuse(error, pointer)
            return None

    def _refuse(self, error: InvalidRecord, pointer: str) -> None:
        if self._refused is None:
            raise error
        self._refused[pointer] = str(error)

    def _null(self, value: float, where: str, pointer: str) -> None:
        if self._not_finite is None:
            raise InvalidRecord(f"{where}: {value} is not a number that JSON knows; use null")
        self._not_finite[pointer] = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _ordered(values: Set[Any], where: str) -> list[Any]:
    try:
        return sorted(values)
    except TypeError as error:
        raise InvalidRecord(f"{where}: a set whose members have no order, and so no JSON form") from error


def _are_finite_numbers(items: Collection[Any]) -> bool:
    """Whether all items are numbers that stay as they are: a long list is looked at once, not item by item."""
    try:
        return _NUMBERS.issuperset(map(type, items)) and all(map(math.isfinite, items))
    except OverflowError:  # an integer beyond all floats, which may have too many digits
        return False


def _is_plain(value: Any) -> bool:
    """Whether a value is surely plain as it is; most are, and naming each one's place would be half of the work."""
    kind = type(value)
    if kind is str:
        return bool(value.isascii())
    if kind is float:
        return math.isfinite(value)
    return value is None or kind is bool or (kind is int and -_SMALL < value < _SMALL)


def key_text(key: Any, where: str) -> str:
    """Return the text that a key is stored as. Raises: InvalidRecord: it has none."""
    if isinstance(key, Enum):
        return key_text(key.value, where)
    if isinstance(key, str):
        return _text(key, where)
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return str(int(key))
    if isinstance(key, date | datetime | UUID | float) or hasattr(key, "dtype"):
        found = _foreign(key, where) if not isinstance(key, float) else float(key)
        if isinstance(found, float) and not math.isfinite(found):
            raise InvalidRecord(f"{where}: the key {key!r} is not a finite number")
        if isinstance(found, str | int | float):
            return str(found)
    raise InvalidRecord(f"{where}: the key {key!r} has no text form")


def _text(value: str, where: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidRecord(f"{where}: a lone surrogate, which is not text") from error
    return str.__str__(value)  # of a subclass the text that it holds, not what it prints


# ---------------------------------------------------------------- types of other libraries and classes


def _hook_of(kind: type) -> Callable[[Any], Any] | None:
    """Return what was registered for a type, or for the nearest one that it derives from."""
    return next((registered[each] for each in kind.__mro__ if each in registered), None)


def _foreign(value: Any, where: str = "value") -> Any:
    """Return the JSON form of a value of another library or class, one level deep (see the table above).

    Raises: InvalidRecord: the type has no JSON form.
    """
    for test, convert in _TABLE:
        if test(value):
            try:
                return convert(value)
            except InvalidRecord as error:
                raise InvalidRecord(f"{where}: {error}") from error
    raise InvalidRecord(f"{where}: {type(value).__module__}.{type(value).__qualname__} has no JSON form")


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


def _has(name: str) -> Callable[[Any], bool]:
    return lambda value: callable(getattr(value, name, None)) and not isinstance(value, type)


def _named(*names: str) -> Callable[[Any], bool]:
    return lambda value: type(value).__name__ in names


def _instant(value: datetime) -> str:
    if value.tzinfo is not None:
        return utc_text(value)
    try:
        return value.astimezone().isoformat()  # the zone that this machine has, recorded as an offset
    except (OverflowError, OSError, ValueError) as error:
        raise InvalidRecord(f"{value} is beyond the years that the local zone has") from error


def _number_or_text(value: Decimal) -> Any:
    if not value.is_finite():
        return float("nan") if value.is_nan() else float(value)
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= 0 and value.adjusted() < 300:
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)


def _fields_of(value: Any) -> dict[str, Any]:
    return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}


def _numpy_instant(value: Any) -> Any:
    text = str(value.astype("datetime64[us]"))
    return None if text == "NaT" else utc_text(datetime.fromisoformat(text).replace(tzinfo=UTC))


def _numpy_seconds(value: Any) -> Any:
    return None if str(value) == "NaT" else int(value.astype("timedelta64[ns]").astype("int64")) / 1e9


def _listed(value: Any) -> Any:
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in "mM" and hasattr(value, "ravel"):
        return [_numpy_instant(each) if kind == "M" else _numpy_seconds(each) for each in value]
    found = value.tolist()
    if type(found) is type(value):
        raise InvalidRecord(f"{type(value).__module__}.{type(value).__qualname__} has no JSON form")
    return found


#: The first row whose test holds decides; the order is part of the meaning (a Timestamp is a datetime, a datetime a
#: date, an IntEnum an int).
_TABLE: tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    (_is(Enum), lambda value: value.value),
    (_named("NaTType", "NAType"), lambda value: None),
    (_named("datetime64"), _numpy_instant),
    (_named("timedelta64"), _numpy_seconds),
    (_is(int), int),
    (_is(float), float),  # numpy.float64
    (_is(datetime), _instant),
    (_is(date, time_of_day), lambda value: value.isoformat()),
    (_is(timedelta), lambda value: value.total_seconds()),
    (_is(Decimal), _number_or_text),
    (_is(bytes, bytearray, memoryview), lambda value: {"base64": base64.b64encode(value).decode("ascii")}),
    (_is(PurePath, UUID, Fraction), str),
    (lambda value: dataclasses.is_dataclass(value) and not isinstance(value, type), _fields_of),
    (lambda value: hasattr(type(value), "__attrs_attrs__"), lambda value: {
        each.name: getattr(value, each.name) for each in type(value).__attrs_attrs__
    }),
    (_has("model_dump"), lambda value: value.model_dump()),  # pydantic
    (lambda value: hasattr(type(value), "__struct_fields__"), lambda value: {
        name: getattr(value, name) for name in value.__struct_fields__
    }),  # msgspec
    (_has("tolist"), _listed),  # numpy arrays and scalars, array.array, pandas.Series
    (lambda value: type(value).__name__ == "DataFrame" and _has("to_dict")(value), lambda value: value.to_dict("list")),
)  # fmt: skip
