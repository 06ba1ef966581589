"""A field of a record is described once: the file, the row, the rules, the filters, bodies and columns come from it."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec
import pytest

from sessionstore.model import record
from sessionstore.model.record import LISTED_FIELDS, RECORD_FIELDS, REQUIRED, RULES, SessionRecord
from sessionstore.model.row import FILTER_FIELDS, SessionRow
from sessionstore.model.schemas import RecordSchema

PACKAGE = Path(record.__file__).parents[1]
#: Names that other classes have for things of their own, and what the row holds in another form.
_OTHERS = {"session_id", "uuid", "format", "status", "created_at", "artifacts", "streams", "extra", "merged_from"}
_OF_THE_ROW = {"drones", "owner", "metadata"}


def declared_again(source: str) -> set[str]:
    """Return the fields of a record that a class of this source declares."""
    found = set()
    for each in ast.walk(ast.parse(source)):
        if isinstance(each, ast.ClassDef):
            targets = [
                target for line in each.body for target in getattr(line, "targets", [getattr(line, "target", 0)])
            ]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found & (set(RECORD_FIELDS) - _OTHERS - _OF_THE_ROW)


@pytest.mark.parametrize("folder", ["model", "index", "store", "session", "analysis", "cli"])
def test_no_other_class_declares_a_field_of_a_record(folder: str) -> None:
    again = {
        str(path): names for path in (PACKAGE / folder).rglob("*.py") if (names := declared_again(path.read_text()))
    }
    assert set(again) == ({str(PACKAGE / "model" / "record.py")} if folder == "model" else set())


def test_a_second_declaration_is_noticed() -> None:
    assert declared_again("class Reply(Schema):\n    time_zone = fields.String()\n    gps: float") == {
        "time_zone",
        "gps",
    }


def test_the_rules_the_schema_and_the_file_have_the_same_fields() -> None:
    assert list(RULES) == list(RECORD_FIELDS) == list(RecordSchema().fields)
    assert {name for name, field in RecordSchema().fields.items() if field.required} == set(REQUIRED)


def test_the_listed_fields_begin_a_row_and_can_be_filtered() -> None:
    assert SessionRow.__struct_fields__[: len(LISTED_FIELDS)] == LISTED_FIELDS
    assert set(LISTED_FIELDS) <= FILTER_FIELDS.keys()


def test_a_new_record_keeps_the_rules_and_stands_in_reading_order() -> None:
    made = SessionRecord.new("202611231430-Butterfly", "019ab000-0000-7000-8000-000000000000").to_dict()
    assert RecordSchema().validate(made) == {}
    assert list(made)[:8] == ["session_id", "uuid", "session_name", "format", "rev", "tags", "notes", "status"]


def test_the_bodies_of_the_api_take_the_rules_of_the_record() -> None:
    api_schemas = pytest.importorskip("sessionstore.server.routes.api_schemas")
    change = api_schemas.SESSION_CHANGE
    assert set(change.fields) - set(RECORD_FIELDS) == {"reason"}
    assert change.validate({"tags": [""], "status": "lost", "num_buildings": -1, "base_position": [0, 0]}).keys() == {
        "tags", "status", "num_buildings", "base_position"
    }  # fmt: skip
    assert change.validate({"gps": None, "end_reason": None, "notes": "x"}) == {}
    assert change.validate({"base_position": None, "notes": None}).keys() == {"base_position", "notes"}


def test_a_row_can_be_read_without_the_state_of_a_file() -> None:
    values = dict.fromkeys((each.name for each in msgspec.structs.fields(SessionRow) if each.required), "")
    assert msgspec.convert({**values, "rev": 1}, SessionRow).size == -1
