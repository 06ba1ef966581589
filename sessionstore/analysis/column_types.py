"""Types that hold the values of several columns exactly, through lists and structs; text where there is none.

Not here: values as arrays (analysis.arrow_columns), reading lines (analysis.verified_chunks).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyarrow import compute

_WHOLE_IN_DOUBLE = float(1 << 53)


def common(types: Iterable[pa.DataType]) -> pa.DataType | None:
    """Return the type that holds values of all these types; None: only text does. A cast to it may still be refused."""
    kinds = {each for each in types if not pa.types.is_null(each)}
    if len(kinds) <= 1:
        return next(iter(kinds), pa.null())
    if all(pa.types.is_integer(each) or pa.types.is_floating(each) for each in kinds):
        return pa.float64()
    if all(pa.types.is_list(each) for each in kinds):
        inner = common(each.value_type for each in kinds)
        return None if inner is None else pa.list_(inner)
    if all(pa.types.is_struct(each) for each in kinds):
        return _common_struct(kinds)
    return None


def _common_struct(kinds: set[pa.DataType]) -> pa.DataType | None:
    names = dict.fromkeys(field.name for each in sorted(kinds, key=str) for field in each)
    found = []
    for name in names:
        inner = common(each.field(name).type for each in kinds if each.get_field_index(name) >= 0)
        if inner is None:
            return None
        found.append(pa.field(name, inner))
    return pa.struct(found)


def whole(kind: pa.DataType) -> pa.DataType:
    """Return a type without a part that is null in all rows: such a part becomes text."""
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(whole(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, whole(field.type)) for field in kind])
    return kind


def cast(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """Return values in a type that :func:`common` gave. Raises: ArrowInvalid: a number would be rounded."""
    if values.type == target:
        return values
    if values.null_count == len(values):
        return pa.chunked_array([pa.nulls(len(values), target)])
    return pa.chunked_array([_cast(each, target) for each in values.chunks], target)


def _cast(values: pa.Array, target: pa.DataType) -> pa.Array:
    """Cast part by part: Arrow makes broken lists of lists of null."""
    if values.type == target:
        return values
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), target)
    values = pa.concat_arrays([values]) if values.offset else values
    if pa.types.is_list(values.type) and pa.types.is_list(target):
        inner = _cast(values.values, target.value_type)
        return pa.ListArray.from_arrays(values.offsets, inner, type=target, mask=compute.is_null(values))
    if pa.types.is_struct(values.type) and pa.types.is_struct(target):
        parts = []
        for field in target:
            number = values.type.get_field_index(field.name)
            parts.append(pa.nulls(len(values), field.type) if number < 0 else _cast(values.field(number), field.type))
        return pa.StructArray.from_arrays(parts, fields=list(target), mask=compute.is_null(values))
    return values.cast(target)


def as_inferred(kind: pa.DataType) -> pa.DataType | None:
    """Return the type of a parsed column with its texts as texts, not as instants; None: SQL cannot hold it."""
    if pa.types.is_temporal(kind):
        return pa.string()
    if pa.types.is_list(kind):
        inner = as_inferred(kind.value_type)
        return None if inner is None else pa.list_(inner)
    if pa.types.is_struct(kind):
        parts = [(field.name, as_inferred(field.type)) for field in kind]
        return None if not parts or any(part is None for _, part in parts) else pa.struct(parts)
    return kind


def is_exact(values: pa.Array) -> bool:
    """Whether no double can be a rounded whole number: all are below 2**53 and finite."""
    if pa.types.is_list(values.type):
        return is_exact(values.values)
    if pa.types.is_struct(values.type):
        return all(is_exact(values.field(number)) for number in range(values.type.num_fields))
    if not pa.types.is_floating(values.type):
        return True
    return compute.all(compute.less(compute.abs(values), _WHOLE_IN_DOUBLE)).as_py() is not False


def leaves(name: str, kind: pa.DataType) -> Iterator[str]:
    """Yield the paths of the columns that Parquet makes of one column."""
    if pa.types.is_list(kind):
        yield from leaves(f"{name}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from leaves(f"{name}.{field.name}", field.type)
    else:
        yield name
