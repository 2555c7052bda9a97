"""Finding libflagver, and its functions.

There are two ways to call a C function. `store` gives up Python's global lock while the function
runs: it may wait, for a database, for another writer or for a callback on another thread. `quick`
keeps the lock: for what takes nanoseconds, waits for nothing, and would take longer to give the
lock up and get it back.
"""

from __future__ import annotations

import ctypes
import os
import re
from ctypes import (
    POINTER,
    c_bool,
    c_char_p,
    c_double,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any, Dict, Iterator, List, Optional, Tuple

from . import _structs as s
from .errors import LibraryError, OutOfMemoryError, make

#: What this package was made for. A library as new or newer will do that begins with the same number,
#: or two numbers while the first is 0: a minor version may change what is promised then.
WANTED = (0, 1, 0)
_SERIES = WANTED[: 1 if WANTED[0] else 2]
NAME = "libflagver.so.%d" % WANTED[0]

_P, _T, _N, _I, _U, _L, _Q, _D, _B = (
    c_void_p,
    c_char_p,
    c_size_t,
    c_int,
    c_uint32,
    c_int64,
    c_uint64,
    c_double,
    c_bool,
)
_E = POINTER(s.ErrorStruct)
_VERSION_WRITE = (_P, _P, _E)  # options, ret_version
_NUMBER_WRITE = (_P, _P, _E)  # options, ret_no
_RECORD = (_P, _T, _T)  # client or transaction, phase, subject

# What waits for nothing.
_QUICK: Dict[str, Tuple[Any, ...]] = {
    "flagver_version_string": (_T,),
    "flagver_strerror": (_T, _I),
    "flagver_error_name": (_T, _I),
    "flagver_error_class": (_I, _I),
    "flagver_string_free": (None, _P),
    "flagver_reason_name": (_T, _I),
    "flagver_error_code_name": (_T, _I),
    "flagver_type_name": (_T, _I),
    "flagver_state_name": (_T, _I),
    "flagver_item_status_name": (_T, _I),
    "flagver_stage_name": (_T, _I),
    "flagver_context_new": (_P, _T),
    "flagver_context_from_json": (_I, _T, _N, _P, _E),
    "flagver_context_free": (None, _P),
    "flagver_context_reset": (_I, _P, _T),
    "flagver_context_set_key": (_I, _P, _T, _N),
    "flagver_client_generation": (_Q, _P),
    "flagver_snapshot_size": (_N, _P),
    "flagver_version_free": (None, _P),
    "flagver_sink_value": (_I, _P, _T, _N),
    "flagver_sink_row": (_I, _P, _T, _T, _N),
    "flagver_sink_end": (None, _P),
    "flagver_sink_key": (_I, _P, _T),
    "flagver_route_result_clear": (None, _P),
    "flagver_route_event_json": (_I, _P, _P, _E),
    "flagver_route_difference_json": (_I, _P, _P, _E),
    "flagver_uuid_v5": (_I, _T, _T, _N, _P, _E),
    "flagver_uuid_v8": (_I, _T, _T, _N, _P, _E),
}

# What may wait, or calls back.
_STORE: Dict[str, Tuple[Any, ...]] = {
    "flagver_open": (_I, _T, _P, _P, _E),
    "flagver_close": (None, _P),
    "flagver_client_refresh": (_I, _P, _E),
    "flagver_client_load": (_I, _P, _T, _N, _E),
    "flagver_client_merge": (_I, _P, _T, _N, _E),
    "flagver_client_snapshot": (_P, _P),
    "flagver_snapshot_load": (_I, _T, _N, _P, _P, _E),
    "flagver_snapshot_at": (_I, _P, _L, _P, _E),
    "flagver_snapshot_free": (None, _P),
    "flagver_snapshot_evaluate": (_I, _P, _T, _N, _P, _I, _P),
    "flagver_snapshot_explain": (_I, _P, _T, _N, _P, _P, _E),
    "flagver_definitions_lint": (_I, _T, _N, _T, s.VisitLine, _P, _E),
    "flagver_client_listen": (_I, _P, s.ListenFunction, _P, _E),
    "flagver_client_unlisten": (None, _P, _I),
    "flagver_client_fd": (_I, _P, _E),
    "flagver_client_tenant": (_I, _P, _T, _P, _E),
    "flagver_client_reopen": (_I, _P, _E),
    "flagver_client_health": (_I, _P, _P, _E),
    "flagver_flag_all": (_N, _P, _P, s.VisitDetail, _P),
    "flagver_flag_explain": (_I, _P, _T, _N, _P, _P, _E),
    "flagver_flag_override": (_I, _P, _T, _T, _E),
    "flagver_flag_bind": (_I, _P, _T, _P, _E),
    "flagver_flag_counts": (_I, _P, s.VisitCount, _P, _E),
    "flagver_flag_evaluate": (_I, _P, _T, _N, _P, _I, _P),
    # transactions
    "flagver_txn_begin": (_I, _P, _P, _P, _P, _E),
    "flagver_txn_commit": (_I, _P, _E),
    "flagver_txn_free": (None, _P),
    "flagver_txn_lock": (_I, _P, _T, _P, _N, _E),
    "flagver_txn_run": (_I, _P, _P, _P, s.RunFunction, _P, _E),
    # versions
    "flagver_version_create": (_I, *_RECORD, _T, _N, *_VERSION_WRITE),
    "flagver_version_edit": (_I, *_RECORD, _U, _T, _N, *_VERSION_WRITE),
    "flagver_version_submit": (_I, *_RECORD, _U, *_VERSION_WRITE),
    "flagver_version_rebase": (_I, *_RECORD, _U, *_VERSION_WRITE),
    "flagver_version_return": (_I, *_RECORD, _U, *_VERSION_WRITE),
    "flagver_version_approve": (_I, *_RECORD, _U, *_VERSION_WRITE),
    "flagver_version_reject": (_I, *_RECORD, _U, *_VERSION_WRITE),
    "flagver_version_withdraw": (_I, *_RECORD, _U, *_VERSION_WRITE),
    "flagver_version_put": (_I, *_RECORD, _T, _N, *_VERSION_WRITE),
    "flagver_version_revert": (_I, *_RECORD, _U, *_VERSION_WRITE),
    "flagver_version_remove": (_I, *_RECORD, *_VERSION_WRITE),
    "flagver_version_record": (_I, *_RECORD, _T, _N, *_VERSION_WRITE),
    "flagver_version_review": (_I, *_RECORD, _U, *_VERSION_WRITE),
    "flagver_version_shred": (_I, *_RECORD, _U, _T, _E),
    "flagver_assign": (_I, _P, _T, _T, _T, *_NUMBER_WRITE),
    "flagver_unassign": (_I, _P, _T, _T, _T, *_NUMBER_WRITE),
    "flagver_items_put": (_I, *_RECORD, _U, _P, _N, *_VERSION_WRITE),
    "flagver_items_remove": (_I, *_RECORD, _U, _P, _N, *_VERSION_WRITE),
    "flagver_items_decide": (_I, *_RECORD, _U, _P, _N, c_int32, *_VERSION_WRITE),
    "flagver_items_list": (_I, *_RECORD, _U, s.VisitItem, _P, _E),
    "flagver_votes_list": (_I, *_RECORD, _U, s.VisitVote, _P, _E),
    "flagver_authors_list": (_I, *_RECORD, _U, s.VisitName, _P, _E),
    "flagver_version_current": (_I, *_RECORD, _P, _E),
    "flagver_version_get": (_I, *_RECORD, _U, _P, _E),
    "flagver_version_as_of": (_I, *_RECORD, _L, _P, _E),
    "flagver_version_by_id": (_I, _P, _T, _P, _E),
    "flagver_version_history": (_I, *_RECORD, _P, s.VisitVersion, _P, _E),
    "flagver_version_list": (_I, _P, _T, _P, s.VisitVersion, _P, _E),
    "flagver_version_diff": (_I, *_RECORD, _U, _U, _I, _P, _E),
    "flagver_version_due": (_I, _P, _P, _T, _P, s.VisitVersion, _P, _E),
    "flagver_phase_policy": (_I, *_RECORD, _P, _E),
    "flagver_version_metrics": (_I, _P, _P, s.VisitMetric, _P, _E),
    # flags
    "flagver_flag_put": (_I, _P, _T, _T, _N, *_NUMBER_WRITE),
    "flagver_segment_put": (_I, _P, _T, _T, _N, *_NUMBER_WRITE),
    "flagver_flag_enable": (_I, _P, _T, *_NUMBER_WRITE),
    "flagver_flag_disable": (_I, _P, _T, *_NUMBER_WRITE),
    "flagver_flag_ramp": (_I, _P, _T, _D, *_NUMBER_WRITE),
    "flagver_flag_release": (_I, _P, _T, *_NUMBER_WRITE),
    "flagver_flag_beta_add": (_I, _P, _T, _P, _N, *_NUMBER_WRITE),
    "flagver_flag_beta_remove": (_I, _P, _T, _P, _N, *_NUMBER_WRITE),
    "flagver_flag_schedule": (_I, _P, _T, _T, _N, *_NUMBER_WRITE),
    "flagver_flag_revert": (_I, _P, _T, _U, *_NUMBER_WRITE),
    "flagver_segment_revert": (_I, _P, _T, _U, *_NUMBER_WRITE),
    "flagver_flag_delete": (_I, _P, _T, *_NUMBER_WRITE),
    "flagver_segment_delete": (_I, _P, _T, *_NUMBER_WRITE),
    "flagver_flags_plan": (_I, _P, _T, _N, _T, _B, s.VisitStep, _P, _E),
    "flagver_flags_apply": (_I, _P, _T, _N, _T, _B, _P, _E),
    "flagver_flags_export": (_I, _P, _P, _E),
    "flagver_flags_guard": (_I, _P, _P, s.AlertFunction, _P, _E),
    # what becomes of flags
    "flagver_track": (_I, _P, _P, _T, _D, _E),
    "flagver_track_outcome": (_I, _P, _T, _T, _B, _L, _E),
    "flagver_track_flush": (_I, _P, _E),
    "flagver_track_report": (_I, _P, _P, s.VisitTrack, _P, _E),
    "flagver_track_openmetrics": (_I, _P, _P, _P, _E),
    "flagver_track_forget": (_I, _P, _L, _E),
    # audit
    "flagver_audit_log": (_I, _P, _Q, _U, s.VisitEntry, _P, _P, _E),
    "flagver_audit_head": (_I, _P, _P, _P, _E),
    "flagver_audit_keygen": (_I, _T, _P, _P, _E),
    "flagver_audit_checkpoint": (_I, _P, _T, _T, _P, _E),
    "flagver_audit_read_checkpoint": (_I, _T, _N, _T, _P, _P, _E),
    "flagver_audit_prove_inclusion": (_I, _P, _Q, _Q, _P, _E),
    "flagver_audit_prove_consistency": (_I, _P, _Q, _Q, _P, _E),
    "flagver_audit_check_inclusion": (_I, _P, _P, _E),
    "flagver_audit_check_consistency": (_I, _P, _P, _P, _E),
    "flagver_audit_verify": (_I, _P, _P, s.VisitLine, _P, _P, _E),
    "flagver_audit_verify_file": (_I, _T, _P, s.VisitLine, _P, _P, _E),
    # keys
    "flagver_key_list": (_I, _P, s.VisitKey, _P, _E),
    "flagver_key_rotate": (_I, _P, _P, _E),
    "flagver_retain": (_I, _P, _T, _T, _L, _T, _P, _E),
    # id map
    "flagver_idmap_put": (_I, _P, _T, _T, _T, _E),
    "flagver_idmap_put_many": (_I, _P, _P, _N, _P, _E),
    "flagver_idmap_new": (_I, _P, _T, _T, _T, _P, _E),
    "flagver_idmap_remove": (_I, _P, _T, _T, _E),
    "flagver_idmap_get": (_I, _P, _T, _T, _P, _E),
    "flagver_idmap_get_old": (_I, _P, _T, _T, _P, _E),
    "flagver_idmap_get_in": (_I, _P, _T, _T, _P, _E),
    "flagver_idmap_get_old_in": (_I, _P, _T, _T, _P, _E),
    "flagver_idmap_visit": (_I, _P, _T, _T, s.VisitMapping, _P, _E),
    # routes
    "flagver_route_open": (_I, _P, _T, _P, _P, _E),
    "flagver_route_close": (_I, _P, c_int32, _E),
    "flagver_route_read": (_I, _P, _T, _P, _P, _E),
    "flagver_route_write": (_I, _P, _T, _T, _N, _P, _P, _E),
    "flagver_route_remove": (_I, _P, _T, _P, _P, _E),
    "flagver_route_stage": (_I, _P, _P, _I, _P, _E),
    "flagver_route_rollback": (_I, _P, _P, _T, _E),
    "flagver_route_step": (_I, _P, c_int32, _P, _E),
    "flagver_route_status": (_I, _P, _P, _E),
    "flagver_route_verify": (_I, _P, _P, s.VisitDifference, _P, _P, _P, _E),
    "flagver_migration_stage": (_I, _P, _T, _P, _I, _P, _E),
    "flagver_migration_rollback": (_I, _P, _T, _P, _P, _E),
    "flagver_migration_status": (_I, _P, _T, _P, _E),
    # looking after a store
    "flagver_schema_version": (_I, _T, _P, _P, _E),
    "flagver_schema_up": (_I, _T, _E),
    "flagver_schema_verify": (_I, _T, s.VisitCheck, _P, _E),
    "flagver_store_export": (_I, _T, _T, _T, _E),
    "flagver_store_import": (_I, _T, _T, _E),
    "flagver_store_copy": (_I, _T, _T, _P, _E),
    "flagver_store_doctor": (_I, _T, s.VisitFinding, _P, _E),
}


def _beside() -> Iterator[str]:
    here = os.path.dirname(os.path.abspath(__file__))
    yield os.path.join(here, NAME)
    yield os.path.join(here, "lib", NAME)


def _directory_of(pc: str) -> Optional[str]:
    """The `libdir` that a .pc file names. They are read here: no program is started for it."""
    variables: Dict[str, str] = {"pcfiledir": os.path.dirname(pc)}
    try:
        with open(pc, encoding="utf-8") as file:
            for line in file:
                match = re.match(r"(\w+)=(.*)", line.strip())
                if match:
                    value = re.sub(
                        r"\$\{(\w+)\}", lambda m: variables.get(m.group(1), ""), match.group(2)
                    )
                    variables[match.group(1)] = value
    except (OSError, UnicodeDecodeError):
        return None
    return variables.get("libdir")


def _packaged(directories: List[str]) -> Iterator[str]:
    for directory in directories:
        found = _directory_of(os.path.join(directory, "flagver.pc")) if directory else None
        if found:
            yield os.path.join(found, NAME)


def _places() -> Iterator[str]:
    yield from _beside()
    yield from _packaged(os.environ.get("PKG_CONFIG_PATH", "").split(os.pathsep))
    yield NAME  # the loader's own: LD_LIBRARY_PATH, /etc/ld.so.conf
    yield from _packaged(
        ["/usr/local/lib/pkgconfig", "/usr/local/share/pkgconfig", "/usr/lib/pkgconfig"]
    )
    for directory in ("/usr/local/lib", "/usr/local/lib64", "/usr/lib", "/opt/flagver/lib"):
        yield os.path.join(directory, NAME)


def _find() -> Tuple[str, ctypes.CDLL]:
    told = os.environ.get("FLAGVER_LIBRARY")
    if told:
        try:
            return told, ctypes.CDLL(told)
        except OSError as error:
            raise LibraryError("FLAGVER_LIBRARY=%s: %s" % (told, error)) from None
    why = ""
    for place in _places():
        if os.sep in place and not os.path.exists(place):
            continue
        try:
            return place, ctypes.CDLL(place)
        except OSError as error:
            why = str(error)
    raise LibraryError(
        "%s was not found beside this package, by PKG_CONFIG_PATH or by the loader (%s): "
        "install libflagver, or name its file in FLAGVER_LIBRARY" % (NAME, why)
    )


def _check_version(path: str, library: ctypes.CDLL) -> str:
    try:
        ask = library.flagver_version_string
    except AttributeError:
        raise LibraryError("%s is not libflagver" % path) from None
    ask.restype = c_char_p
    text: str = ask().decode()
    numbers = tuple(int(part) for part in re.findall(r"\d+", text)[:3])
    if numbers[: len(_SERIES)] != _SERIES or numbers < WANTED:
        raise LibraryError(
            "%s is libflagver %s; this package is for %s and newer ones that begin with %s."
            % (path, text, ".".join(map(str, WANTED)), ".".join(map(str, _SERIES)))
        )
    return text


def _look_up(library: ctypes.CDLL, name: str) -> Any:
    try:
        return library[name]
    except AttributeError:
        raise LibraryError(
            "%s is libflagver %s and has no %s: a newer one is needed" % (PATH, VERSION, name)
        ) from None


class _Functions:
    """Functions by their names without the prefix, looked up when they are first wanted."""

    def __init__(self, library: ctypes.CDLL, signatures: Dict[str, Tuple[Any, ...]]):
        self._library = library
        self._signatures = signatures

    def __getattr__(self, name: str) -> Any:
        full = "flagver_" + name
        signature = self._signatures.get(full)
        if signature is None:
            raise AttributeError(name)
        function = _look_up(self._library, full)
        function.restype, function.argtypes = signature[0], signature[1:]
        setattr(self, name, function)
        return function


PATH, _cdll = _find()
VERSION = _check_version(PATH, _cdll)
_pydll = ctypes.PyDLL(PATH)
store = _Functions(_cdll, {**_QUICK, **_STORE})
quick = _Functions(_pydll, {**_QUICK, **_STORE})


def quick_function(name: str, result: Any, *converters: Any) -> Any:
    """A function of its own, with argument converters of the caller's."""
    function = _look_up(_pydll, name)
    function.restype = result
    if converters:
        function.argtypes = converters
    return function


def raise_error(code: int, error: s.ErrorStruct) -> None:
    """Raises what a call has returned."""
    words = error.message.decode("utf-8", "replace") if error.code == code else ""
    if not words:
        words = quick.strerror(code).decode()
    exception = make(code, words)
    if error.code == code:
        exception.native, exception.line = error.native, error.line
        exception.column, exception.sqlstate = error.column, error.sqlstate.decode()
    raise exception


def check(function: Any, *arguments: Any) -> int:
    """Calls a function whose last argument is the error; raises it."""
    error = s.ErrorStruct()
    result: int = function(*arguments, ctypes.byref(error))
    if result < 0:
        raise_error(result, error)
    return result


def check_code(code: int) -> None:
    """Raises what a function without an error argument has returned."""
    if code < 0:
        raise make(code, quick.strerror(code).decode())


def no_memory() -> OutOfMemoryError:
    return OutOfMemoryError("out of memory")


def take_text(pointer: c_void_p) -> str:
    """A text that was handed out; it is freed."""
    try:
        return ctypes.string_at(pointer.value or 0).decode("utf-8", "replace")
    finally:
        quick.string_free(pointer)


def ask_text(function: Any, *arguments: Any) -> str:
    """Calls a function that hands out a text before its error argument."""
    pointer = c_void_p()
    check(function, *arguments, ctypes.byref(pointer))
    return take_text(pointer)
