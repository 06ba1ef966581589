"""The tables in PostgreSQL, made and brought up to date by the first process, under an advisory lock.

:data:`STEPS` is the history: each entry brings the schema one version further and is never edited once released.
Not here: queries (index.postgres).
"""

from __future__ import annotations

from psycopg import errors, sql

from sessionstore.errors import NewerFormat
from sessionstore.index.sql.postgres_pool import Connection
from sessionstore.query import Path as Keys

_LOCK = 0x53455353_494F4E53  # "SESSIONS"
_BUILD_S = 300.0  # an index over many rows takes its time

STEPS = (
    """
    CREATE TABLE {schema}.meta (version int NOT NULL);
    INSERT INTO {schema}.meta VALUES (0);
    CREATE TABLE {schema}.stores (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, host text NOT NULL, path text NOT NULL,
      seen_at timestamptz NOT NULL DEFAULT now(), UNIQUE (host, path));
    CREATE TABLE {schema}.sessions (
      store bigint NOT NULL REFERENCES {schema}.stores ON DELETE CASCADE, session_id text COLLATE "C" NOT NULL,
      uuid text COLLATE "C" NOT NULL, rev bigint NOT NULL, size bigint NOT NULL, mtime_ns bigint NOT NULL,
      active bool NOT NULL, plain bool NOT NULL, odd bool NOT NULL, changed bigint NOT NULL,
      row text COLLATE "C" NOT NULL, doc jsonb NOT NULL, PRIMARY KEY (store, session_id));
    CREATE INDEX sessions_uuid ON {schema}.sessions (uuid);
    CREATE INDEX sessions_changed ON {schema}.sessions (changed);
    CREATE INDEX sessions_active ON {schema}.sessions (store) WHERE active;
    CREATE INDEX sessions_odd ON {schema}.sessions (store) WHERE odd;
    -- a small pending list: searching reads all of it
    CREATE INDEX sessions_doc ON {schema}.sessions USING gin (doc jsonb_path_ops) WITH (gin_pending_list_limit = 256);
    CREATE TABLE {schema}.watch (until timestamptz NOT NULL, removed bigint NOT NULL);
    INSERT INTO {schema}.watch VALUES ('-infinity', 0);
    """,
)
_NUMBERS = ("duration_sim_s", "num_drones", "points", "distance_m", "windows_cleaned")
_TEXTS = ("created_at", "updated_at", "started_at", "ended_at", "session_name")


def number_of(keys: Keys) -> sql.Composable:
    """Return the expression of a value as a number, null for anything else."""
    found = sql.SQL("doc #> {keys}").format(keys=sql.Literal(list(keys)))
    return sql.SQL("(CASE WHEN jsonb_typeof({found}) = 'number' THEN ({found})::text::numeric END)").format(found=found)


def text_of(keys: Keys) -> sql.Composable:
    """Return the expression of a value as text, cut to what an index entry holds; a list is its JSON."""
    return sql.SQL('("left"(doc #>> {keys}, 200) COLLATE "C")').format(keys=sql.Literal(list(keys)))


def version_of(connection: Connection, schema: str) -> int:
    """Return the version of the schema, 0 when there is none. Raises: NewerFormat."""
    try:
        found = connection.execute(_in("SELECT version FROM {schema}.meta", schema)).fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return 0
    version = int(found[0]) if found else 0
    if version > len(STEPS):
        raise NewerFormat(f"the schema {schema!r} has version {version}, this version knows {len(STEPS)}")
    return version


def ensure(connection: Connection, schema: str, keys: tuple[Keys, ...]) -> None:
    """Bring the schema up to date, and index the metadata keys that were named. Raises: NewerFormat, psycopg.Error."""
    limit_s = connection.limit_s
    if version_of(connection, schema) == len(STEPS) and not _missing(connection, schema, keys):
        return
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])  # waits no longer than lock_timeout
            connection.limit_s = _BUILD_S
            connection.execute(f"SET LOCAL statement_timeout = {int(_BUILD_S * 1000)}")
            _bring_up(connection, schema)
            for key in _missing(connection, schema, keys):
                _index_on(connection, schema, key, number_of(key))
                _index_on(connection, schema, key, text_of(key), "_text")
    finally:
        connection.limit_s = limit_s


def _bring_up(connection: Connection, schema: str) -> None:
    exists = connection.execute("SELECT to_regclass(%s)", [f"{schema}.meta"]).fetchone()
    version = version_of(connection, schema) if exists and exists[0] else 0
    if not version:  # IF NOT EXISTS alone would ask for a right that is not needed where it exists
        present = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone()
        if not present:
            connection.execute(_in("CREATE SCHEMA {schema}", schema))
    for number, step in enumerate(STEPS[version:], version + 1):
        connection.execute(_in(step, schema))
        if number == 1:
            for field in _NUMBERS:
                _index_on(connection, schema, (field,), number_of((field,)))
            for field in _TEXTS:
                _index_on(connection, schema, (field,), text_of((field,)))
        connection.execute(_in("UPDATE {schema}.meta SET version = ", schema) + sql.Literal(number))


def _index_on(connection: Connection, schema: str, keys: Keys, expression: sql.Composable, suffix: str = "") -> None:
    text = sql.SQL("CREATE INDEX {name} ON {schema}.sessions ({expression})")
    connection.execute(
        text.format(name=sql.Identifier(_name(keys) + suffix), schema=sql.Identifier(schema), expression=expression)
    )


def _name(keys: Keys) -> str:
    return ("sessions_" + ".".join(keys))[:57]  # 63 bytes, less a suffix


def _missing(connection: Connection, schema: str, keys: tuple[Keys, ...]) -> list[Keys]:
    if not keys:
        return []
    rows = connection.execute("SELECT indexname FROM pg_indexes WHERE schemaname = %s", [schema]).fetchall()
    present = {name for (name,) in rows}
    return [key for key in keys if _name(key) not in present]


def _in(text: str, schema: str) -> sql.Composed:
    return sql.SQL(text).format(schema=sql.Identifier(schema))
