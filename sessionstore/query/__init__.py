"""The filter language: ``status=failed and metadata.num_drones>5``, one meaning in every engine, CLI, URL and Python.

    filter   = clause { ("and" | "or") clause } | filter filter      two clauses side by side mean "and"
    clause   = "not" clause | "(" filter ")" | "has" path | comparison | word
    compare  = path operator value | path "~" /regex/[i] | path ["not"] "in" "(" value { "," value } ")"
             | path ["not"] "between" value "and" value | path "is" ["not"] "null"
    operator = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~"            "~" contains the text, ignoring case
    path     = field { "." key }                                     a key with a dot, blank or sign stands in quotes
    value    = number | true | false | null | instant | word | "text"    in quotes it is always text
    instant  = 2026 | 2026-11 | 2026-11-23 | 2026-11-23T14:30 | now | today | yesterday | -90s -30m -12h -1d -2w

A word by itself searches the id, the name, the tags and the metadata. Values are compared with their own type: 5 is not
"5", true is not 1. A missing key matches no comparison except ``!=`` and ``not``; ``= null`` matches a null only,
``is null`` a null or a missing key. Text is ordered by code point. A list matches if one of its items does. Instants
are UTC; a shortened one is a period: ``=2026-11`` is within it, ``>2026-11`` after it, ``<=2026-11`` until its end.
A comparison that can never match because of the type of its field is refused (InvalidQuery).
Not here: the rows (index), SQL (index.sql.prefilter compiles :data:`Filter` trees).
"""

from __future__ import annotations

from sessionstore.query.describe import describe
from sessionstore.query.matching import TinyDBQuery, in_mapping, matcher
from sessionstore.query.parser import parse, parse_path
from sessionstore.query.tree import (
    MISSING,
    And,
    Between,
    Compare,
    Field,
    Filter,
    Has,
    Match,
    Not,
    Operator,
    Or,
    Path,
    Scalar,
    Search,
)

__all__ = [
    "MISSING", "And", "Between", "Compare", "Field", "Filter", "Has", "Match", "Not", "Operator", "Or", "Path",
    "Scalar", "Search", "TinyDBQuery", "describe", "in_mapping", "matcher", "parse", "parse_path",
]  # fmt: skip
