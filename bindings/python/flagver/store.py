"""Looking after a store: its schema, its health, copies of it. Each takes the URI of a store."""

from __future__ import annotations

import ctypes
from ctypes import byref
from typing import Any, Callable, List, NamedTuple, Optional, Tuple

from . import _structs as s
from ._convert import decoded, number, object_text, optional, text, words
from ._library import check, store
from ._visit import visiting


class Finding(NamedTuple):
    """What a check has found: "ok", "warning" or "error", in a line that says what to do."""

    level: str
    line: str


_LEVELS = ("ok", "warning", "error")
_STAGES = ("", "behind", "equal", "following", "waiting")


class CopyState(NamedTuple):
    """How far a copy is. `stage` is "behind", "equal", "following" or "waiting" (`problem`: why)."""

    tenant: str
    stage: str
    copied: int
    leaves: int
    root: bytes
    problem: Optional[str]


def schema_version(uri: str) -> Tuple[int, int]:
    """The version of the schema in a store, 0: none; and the one that the library makes."""
    there, wanted = ctypes.c_uint32(), ctypes.c_uint32()
    check(store.schema_version, text(uri, "the URI"), byref(there), byref(wanted))
    return there.value, wanted.value


def schema_up(uri: str) -> None:
    """Create or upgrade the schema. Doing it twice is harmless."""
    check(store.schema_up, text(uri, "the URI"))


def schema_verify(uri: str) -> List[str]:
    """What in the schema is not as it should be, and what is damaged."""
    found: List[str] = []

    def visit(fine: bool, line: bytes) -> None:
        if not fine:
            found.append(words(line))

    with visiting(s.VisitCheck, visit) as visitor:
        check(store.schema_verify, text(uri, "the URI"), visitor, None)
    return found


def doctor(uri: str) -> List[Finding]:
    """Look a store over before a deployment."""
    found: List[Finding] = []

    def visit(level: int, line: bytes) -> None:
        found.append(Finding(_LEVELS[level], words(line)))

    with visiting(s.VisitFinding, visit) as visitor:
        check(store.store_doctor, text(uri, "the URI"), visitor, None)
    return found


def export(uri: str, path: str, tenant: Optional[str] = None) -> None:
    """Write everything in the store, of all tenants or of one, into a file."""
    check(
        store.store_export,
        text(uri, "the URI"),
        optional(tenant, "the tenant"),
        text(path, "the path"),
    )


def load(uri: str, path: str) -> None:
    """Bring an export into a store whose tenants are empty."""
    check(store.store_import, text(uri, "the URI"), text(path, "the path"))


def copy(
    from_uri: str,
    to_uri: str,
    *,
    tenant: Optional[str] = None,
    follow: bool = False,
    leaves: int = 0,
    tell: Optional[Callable[[CopyState], Any]] = None,
) -> bool:
    """Copy everything from one store into another one, of whatever kinds they are.

    `tell` gets a `CopyState` after each transaction; False ends the copy. With `follow` it keeps up
    with the source until then. Returns whether everything was carried over.
    """

    def visit(c: s.CopyStateStruct) -> Any:
        problem = decoded(c.problem.contents.message) if c.problem else None
        state = CopyState(
            words(c.tenant), _STAGES[c.stage], c.copied, c.leaves, bytes(c.root), problem
        )
        return tell(state) if tell is not None else None

    options = s.CopyOptionsStruct(
        tenant=optional(tenant, "the tenant"), follow=bool(follow), leaves=number(leaves, "leaves")
    )
    with visiting(s.CopyFunction, visit) as visitor:
        if tell is not None:
            options.tell = visitor
        arguments = text(from_uri, "the URI"), text(to_uri, "the URI"), byref(options)
        return check(store.store_copy, *arguments) == 0


def lint(definitions: Any, name: Optional[str] = None) -> List[str]:
    """What in definitions is allowed but hardly meant, one line each (the first 100)."""
    encoded = object_text(definitions, "definitions")
    found: List[str] = []

    def visit(line: bytes) -> None:
        found.append(words(line))

    with visiting(s.VisitLine, visit) as visitor:
        check(
            store.definitions_lint,
            encoded,
            len(encoded),
            optional(name, "the name"),
            visitor,
            None,
        )
    return found
