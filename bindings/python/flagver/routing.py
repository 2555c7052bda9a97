"""Moving data from an old system to a new one while the application runs.

A route stands between the application and its two sides. What is promised, stages and gates are in
docs/routing.md; here is how it looks in Python.
"""

from __future__ import annotations

import ctypes
import json
import threading
import time
from ctypes import byref, string_at
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
)

from . import _structs as s
from ._convert import decoded, optional, size, small, text, words
from ._core import Core, Gate, report
from ._library import ask_text, check, quick, store, take_text
from ._visit import visiting
from .context import Context
from .errors import BusyError, FlagverError, StateError, make, number_of
from .evaluation import ERRORS, REASONS, pointer_of
from .transaction import error_to

if TYPE_CHECKING:
    from .client import Actor, Client

R = TypeVar("R", bound="Route")

#: Stages of a migration, by their numbers.
STAGES = (
    "",
    "off",
    "dualwrite",
    "backfill",
    "shadow",
    "ramp",
    "live",
    "rampdown",
    "complete",
)
SIDES = ("old", "new")
ORDERS = ("concurrent", "serial", "random")
VERIFY = ("call", "report", "repair")
OPERATIONS = (
    "",
    "read",
    "write",
    "remove",
    "scan",
    "write_many",
    "deactivate",
    "count",
    "find_by_operation",
)
_DIFFERENCES = ("", "missing_in_new", "extra_in_new", "value")

_EINVAL, _ENOTFOUND, _EIO, _EUNAVAILABLE = -1, -3, -5, -16
_CLOSE_MS = 5000
_NO_FAILURE = (None, 0)

Value = Union[bytes, str]


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else "unknown %d" % number


def stage_number(stage: str) -> int:
    if stage not in STAGES[1:]:
        raise ValueError("%r is no stage; %s are" % (stage, ", ".join(STAGES[1:])))
    return STAGES.index(stage)


def _value(value: Value, what: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError("%s is %s; bytes or a str is wanted" % (what, type(value).__name__))


class SideCall:
    """What a function of a side is asked.

    operation     one of OPERATIONS
    side          "old" or "new"
    key           of the record; None: the side makes the key itself
    operation_id  the same for both sides and for every try of one operation; "": a read
    payload       what the caller of `Route.read` passed on
    deadline      when nobody waits for the answer any more, by time.monotonic(); None: never
    """

    __slots__ = ("operation", "side", "key", "operation_id", "payload", "deadline", "_sink")

    def __init__(self, c: s.SideCallStruct, sink: Optional[int] = None) -> None:
        self.operation = _name(OPERATIONS, c.operation)
        self.side = SIDES[c.side]
        self.key = decoded(c.key)
        self.operation_id = words(c.operation_id)
        self.payload = string_at(c.payload, c.payload_length) if c.payload else None
        self.deadline = c.deadline / 1e9 if c.deadline else None
        self._sink = sink

    def remaining(self) -> Optional[float]:
        """Seconds until the deadline; None: there is none."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def end(self) -> None:
        """Of a scan: there is nothing behind the records that it returns."""
        if self._sink is None:
            raise ValueError("only a scan ends, while it is under way")
        quick.sink_end(self._sink)


class Side(NamedTuple):
    """The functions by which a side is reached. Any object with such methods is a side as well.

    read(call)                 the record's value, bytes or str; None or a KeyError: there is none
    write(call, value)         make the record's value this one; twice must do no harm. With call.key
                               None: create a record, and return its key
    remove(call)               the record is gone; one that is not there is fine
    scan(call, after, limit)   some (key, value) whose keys come after `after`, in byte order of their
                               UTF-8, about `limit`; and call.end() when there are no more behind them.
                               Only that says so, not that few came
    write_many(call, rows)     write all of these (key, value), or none
    deactivate(call)           the side is not written any more after a rollback
    count(call)                about how many records there are
    find_by_operation(call)    the key of the record that was created for call.operation_id, or None

    They are called by any thread and must not call the route. An exception is the side's failure:
    a FlagverError counts as what it is, a LookupError of a read as "not found", an OSError (and so
    ConnectionError and TimeoutError) as unavailable, any other as an error of input or output.
    """

    read: Callable[[SideCall], Optional[Value]]
    write: Callable[[SideCall, bytes], Optional[str]]
    remove: Optional[Callable[[SideCall], Any]] = None
    scan: Optional[Callable[[SideCall, str, int], Iterable[Tuple[str, Value]]]] = None
    write_many: Optional[Callable[[SideCall, List[Tuple[str, bytes]]], Any]] = None
    deactivate: Optional[Callable[[SideCall], Any]] = None
    count: Optional[Callable[[SideCall], int]] = None
    find_by_operation: Optional[Callable[[SideCall], Optional[str]]] = None


class SideResult(NamedTuple):
    """How far an operation has got on one side. `error` is what the side failed with, or None."""

    invoked: bool
    error: Optional[FlagverError]
    latency_ns: int


class RouteResult(NamedTuple):
    """What came of an operation.

    value       reads: the record's value
    key         a creation: the new record's key
    stage       by which it was routed
    side        whose answer it is
    old, new    how far each side has got
    consistent  True: the two answers agree; False: they differ; None: they were not compared
    pending     writes: the other side has not got it yet; it is known, and will be repaired
    """

    value: Optional[bytes]
    key: Optional[str]
    stage: str
    side: str
    old: SideResult
    new: SideResult
    consistent: Optional[bool]
    pending: bool

    @property
    def text(self) -> Optional[str]:
        """The value as a text."""
        return None if self.value is None else self.value.decode()


class RouteEvent(NamedTuple):
    """One operation, when it is over: as flagver_route_event. `time`: milliseconds since 1970."""

    route: str
    operation: str
    key: Optional[str]
    time: int
    stage: str
    default_stage: str
    version: int
    reason: str
    error: Optional[str]
    old: SideResult
    new: SideResult
    consistent: Optional[bool]
    check_ratio: int
    sampling_ratio: int

    def json(self) -> str:
        """The event as LaunchDarkly writes a `migration_op`: for the `event` function of a route,
        while it is called. `InvalidArgumentError`: that form does not have it (no key, no side)."""
        pointer = getattr(self, "pointer", None)
        if pointer is None:
            raise StateError("the JSON of an event is there while the event is told")
        return ask_text(quick.route_event_json, pointer)


class _ToldEvent(RouteEvent):
    pointer: Any = None


class RouteAlert(NamedTuple):
    """A guard of the migration has tripped: as flagver_route_alert."""

    route: str
    guard: str
    value: float
    limit: float
    stage: str
    acted: bool


class Progress(NamedTuple):
    """What `Route.step` has done and found: as flagver_route_progress. `copy_left_ms` is None, and
    `copy_total` 0, where that is not known."""

    stage: str
    settled: bool
    copied_all: bool
    repaired: int
    unrepaired: int
    waiting: int
    copied: int
    oldest_ms: int
    copied_so_far: int
    copy_total: int
    copy_rate: float
    copy_left_ms: Optional[int]
    rest_ms: int
    verified: bool
    compared_so_far: int
    compare_rate: float
    compare_left_ms: Optional[int]
    differences: int
    left_out: int


class Difference(NamedTuple):
    """A record whose sides differ: "missing_in_new", "extra_in_new" or "value"."""

    kind: str
    key: str
    old: Optional[bytes]
    new: Optional[bytes]

    def json(self) -> str:
        """The difference as a line of JSON: see flagver_route_difference_json()."""
        struct = s.DifferenceStruct(
            kind=_DIFFERENCES.index(self.kind), key=text(self.key, "the key")
        )
        for side, value in (("old", self.old), ("new", self.new)):
            if value is not None:
                setattr(struct, side + "_value", ctypes.cast(value, ctypes.c_void_p))
                setattr(struct, side + "_length", len(value))
        return ask_text(quick.route_difference_json, byref(struct))


class Comparison(NamedTuple):
    """How many records were compared, differ, and were left out because they are in doubt."""

    compared: int
    differences: int
    left_out: int


def _consistent(number: int) -> Optional[bool]:
    return None if number < 0 else bool(number)


def _side_result(r: s.SideResultStruct, error: Optional[s.ErrorStruct] = None) -> SideResult:
    failed = None
    if r.code:
        message = words(error.message) if error is not None and error.code else ""
        failed = make(r.code, message or quick.strerror(r.code).decode())
    return SideResult(r.invoked, failed, r.latency_ns)


def _result_of(r: s.RouteResultStruct) -> RouteResult:
    return RouteResult(
        string_at(r.value, r.length) if r.value else None,
        decoded(r.key),
        _name(STAGES, r.stage),
        SIDES[r.side],
        _side_result(r.sides[0], r.errors[0]),
        _side_result(r.sides[1], r.errors[1]),
        _consistent(r.consistent),
        r.pending,
    )


def _event_of(e: s.RouteEventStruct) -> RouteEvent:
    return RouteEvent(
        words(e.route),
        _name(OPERATIONS, e.operation),
        decoded(e.key),
        e.time,
        _name(STAGES, e.stage),
        _name(STAGES, e.default_stage),
        e.version,
        _name(REASONS, e.reason),
        ERRORS[e.error] if 0 <= e.error < len(ERRORS) else "UNKNOWN",
        _side_result(e.sides[0]),
        _side_result(e.sides[1]),
        _consistent(e.consistent),
        e.check_ratio,
        e.sampling_ratio,
    )


def _alert_of(a: s.RouteAlertStruct) -> RouteAlert:
    return RouteAlert(
        words(a.route), words(a.guard), a.value, a.limit, _name(STAGES, a.stage), a.acted
    )


def _difference_of(d: s.DifferenceStruct) -> Difference:
    old = string_at(d.old_value, d.old_length) if d.old_value else None
    new = string_at(d.new_value, d.new_length) if d.new_value else None
    return Difference(_name(_DIFFERENCES, d.kind), words(d.key), old, new)


class _Callbacks:
    """What C calls: functions of Python's behind foreign ones. Nothing that they raise gets into C."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.local = threading.local()  # what a side has raised on this thread

    def side(self, side: Any, which: str) -> s.SideStruct:
        struct = s.SideStruct()
        for name, kind, run in (
            ("read", s.ReadFunction, self._read),
            ("write", s.WriteFunction, self._write),
            ("remove", s.RemoveFunction, self._plain),
            ("scan", s.ScanFunction, self._scan),
            ("write_many", s.WriteManyFunction, self._write_many),
            ("deactivate", s.RemoveFunction, self._plain),
            ("count", s.CountFunction, self._count),
            ("find_by_operation", s.FindFunction, self._find),
        ):
            function = getattr(side, name, None)
            if function is None and name not in ("read", "write"):
                continue
            if not callable(function):
                raise TypeError("the %s side has no function %r" % (which, name))
            setattr(struct, name, kind(self._failing("%s.%s" % (which, name), name, run, function)))
        return struct

    def _failing(self, what: str, name: str, run: Any, function: Any) -> Callable[..., int]:
        """A function that returns a code, and puts words into the last argument."""
        missing = name in ("read", "find_by_operation")

        def called(_: Any, *arguments: Any) -> int:
            self.gate.enter_callback()
            try:
                return run(function, *arguments[:-1])  # type: ignore[no-any-return]
            except BaseException as failure:
                code = _code_of(failure, missing)
                self.local.failure = failure, code
                error_to(arguments[-1].contents, code, failure, what)
                return code
            finally:
                self.gate.leave_callback()

        return called

    def _read(self, function: Any, call: Any, sink: int) -> int:
        found = function(SideCall(call.contents))
        if found is None:
            return _ENOTFOUND
        value = _value(found, "what read() returned")
        return quick.sink_value(sink, value, len(value))  # type: ignore[no-any-return]

    def _write(self, function: Any, call: Any, value: int, length: int, sink: int) -> int:
        asked = SideCall(call.contents)
        made = function(asked, string_at(value, length) if length else b"")
        if asked.key is not None:
            return 0
        return quick.sink_key(  # type: ignore[no-any-return]
            sink, text(made, "the key that write() returned")
        )

    def _plain(self, function: Any, call: Any) -> int:
        function(SideCall(call.contents))
        return 0

    def _scan(self, function: Any, call: Any, after: bytes, limit: int, sink: int) -> int:
        asked = SideCall(call.contents, sink)
        try:
            for key, value in function(asked, words(after), limit):
                encoded = _value(value, "a value that scan() returned")
                name = text(key, "a key that scan() returned")
                code: int = quick.sink_row(sink, name, encoded, len(encoded))
                if code < 0:
                    return code
            return 0
        finally:
            asked._sink = None  # it is C's, and gone soon; the side may have kept the call

    def _write_many(self, function: Any, call: Any, rows: Any, count: int) -> int:
        taken = [
            (words(rows[i].key), string_at(rows[i].value, rows[i].length) if rows[i].length else b"")
            for i in range(count)
        ]
        function(SideCall(call.contents), taken)
        return 0

    def _count(self, function: Any, call: Any, ret_count: Any) -> int:
        count = int(function(SideCall(call.contents)))
        ret_count.contents.value = size(count, "what count() returned")
        return 0

    def _find(self, function: Any, call: Any, sink: int) -> int:
        key = function(SideCall(call.contents))
        if key is None:
            return _ENOTFOUND
        return quick.sink_key(  # type: ignore[no-any-return]
            sink, text(key, "the key that find_by_operation() returned")
        )

    def telling(self, what: str, run: Callable[..., Any], otherwise: Any) -> Callable[..., Any]:
        """A function whose exception is logged, and goes nowhere."""

        def called(_: Any, *arguments: Any) -> Any:
            self.gate.enter_callback()
            try:
                return run(*arguments)
            except BaseException:
                report(what)
                return otherwise
            finally:
                self.gate.leave_callback()

        return called


def _code_of(failure: BaseException, missing: bool) -> int:
    if missing and isinstance(failure, LookupError):
        return number_of(failure, _ENOTFOUND)
    return number_of(failure, _EUNAVAILABLE if isinstance(failure, OSError) else _EIO)


class _RouteCore(Gate):
    """The handle of a route; its client holds it until it is closed, as C may call back until then."""

    def __init__(self, core: Core) -> None:
        super().__init__("route")
        self.core = core
        self.handle: Optional[int] = None
        self.kept: Any = None
        self._closing = threading.Lock()  # the client may close it at the same time

    def close(self, wait_ms: int) -> None:
        self.shut()
        with self._closing:
            if self.handle is None:
                return
            check(store.route_close, self.handle, wait_ms)  # BusyError: to be closed again
            self.core.routes.pop(self.handle, None)
            self.handle = None

    def after_fork(self) -> None:
        super().after_fork()
        self._closing = threading.Lock()

    def close_with_client(self) -> None:
        try:
            self.close(_CLOSE_MS)
        except FlagverError:
            report("closing a route together with its client")


class Route:
    """A route: `Client.route`. Any number of threads may use it; sides must not.

    Reads and writes block until the sides have answered; in an event loop use `flagver.aio`.
    Close it, or use it as a context manager; one that is forgotten goes on until its client is closed.
    """

    __slots__ = ("_client", "_core", "_callbacks", "__weakref__")

    def __init__(
        self,
        client: "Client",
        migration: Optional[str],
        old: Any,
        new: Any,
        *,
        flag: Optional[str] = None,
        default_stage: Optional[str] = None,
        compare: Optional[Callable[[str, bytes, bytes], Optional[bool]]] = None,
        order: str = "concurrent",
        workers: int = 0,
        shadow_timeout_ms: int = 0,
        check_ratio: int = 0,
        sampling_ratio: int = 0,
        event: Optional[Callable[[RouteEvent], Any]] = None,
        alert: Optional[Callable[[RouteAlert], Any]] = None,
        background: bool = True,
        chunk_ms: int = 0,
        copy_share: int = 0,
        throttle: Optional[Callable[[], int]] = None,
        verify: str = "call",
        difference: Optional[Callable[[Difference], Any]] = None,
    ) -> None:
        if order not in ORDERS:
            raise ValueError("%r is no order; %s are" % (order, ", ".join(ORDERS)))
        if verify not in VERIFY:
            raise ValueError("%r is no way to verify; %s are" % (verify, ", ".join(VERIFY)))
        self._client = client
        self._core = _RouteCore(client._core)
        self._callbacks = callbacks = _Callbacks(self._core)
        options = s.RouteOptionsStruct(
            flag=optional(flag, "the flag"),
            default_stage=stage_number(default_stage) if default_stage is not None else 0,
            order=ORDERS.index(order),
            old_side=callbacks.side(old, "old"),
            new_side=callbacks.side(new, "new"),
            workers=small(workers, "workers"),
            shadow_timeout_ms=small(shadow_timeout_ms, "shadow_timeout_ms"),
            check_ratio=small(check_ratio, "check_ratio"),
            sampling_ratio=small(sampling_ratio, "sampling_ratio"),
            background=bool(background) and flag is None,
            chunk_ms=small(chunk_ms, "chunk_ms"),
            copy_share=small(copy_share, "copy_share"),
            verify=VERIFY.index(verify),
        )
        self._set_callbacks(options, compare, event, alert, throttle, difference)
        self._core.kept = options  # and by it all functions
        pointer = ctypes.c_void_p()
        arguments = optional(migration, "the migration"), byref(options), byref(pointer)
        with client._core as core:  # until it is in the table, where who closes has to find it
            check(store.route_open, core.handle, *arguments)
            assert pointer.value is not None
            self._core.handle = pointer.value
            core.routes[pointer.value] = self._core

    def _set_callbacks(
        self,
        options: s.RouteOptionsStruct,
        compare: Any,
        event: Any,
        alert: Any,
        throttle: Any,
        difference: Any,
    ) -> None:
        telling = self._callbacks.telling

        def equal(key: bytes, old: int, old_length: int, new: int, new_length: int) -> int:
            answer = compare(
                words(key),
                string_at(old, old_length) if old_length else b"",
                string_at(new, new_length) if new_length else b"",
            )
            return -1 if answer is None else int(bool(answer))

        def tell(pointer: Any) -> None:
            told = _ToldEvent(*_event_of(pointer.contents))
            told.pointer = pointer
            try:
                event(told)
            finally:
                told.pointer = None

        if compare is not None:
            options.compare = s.CompareFunction(telling("compare", equal, -1))
        if event is not None:
            options.event = s.EventFunction(telling("event", tell, None))
        if alert is not None:
            options.alert = s.RouteAlertFunction(
                telling("alert", lambda a: alert(_alert_of(a.contents)) and None, None)
            )
        if throttle is not None:
            options.throttle = s.ThrottleFunction(
                telling("throttle", lambda: small(throttle(), "what throttle() returned"), -1)
            )

        if difference is not None:
            options.difference = s.DifferenceFunction(
                telling(
                    "difference", lambda d: difference(_difference_of(d.contents)) and None, None
                )
            )

    # ---- the end ----

    def close(self, wait_ms: int = _CLOSE_MS) -> None:
        """Close; waits so long for sides' functions. `BusyError`: one has not returned; the route
        does nothing any more, and is to be closed again. A second time does nothing."""
        self._core.close(small(wait_ms, "wait_ms"))

    @property
    def closed(self) -> bool:
        return self._core.closed

    def __enter__(self: R) -> R:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        try:
            self.close()
        except BusyError:
            if kind is None:
                raise

    # ---- operations ----

    def _run(self, function: Any, *arguments: Any) -> int:
        """A call in which sides may be asked on this thread. What they raise is its cause."""
        local = self._callbacks.local
        before, local.failure = getattr(local, "failure", _NO_FAILURE), _NO_FAILURE
        try:
            with self._core:
                return check(function, self._core.handle, *arguments)
        except FlagverError as error:
            cause, code = local.failure
            if code == error.code:
                raise error from cause
            raise
        finally:
            failure, local.failure = local.failure[0], before
            if failure is not None and not isinstance(failure, Exception):
                raise failure  # KeyboardInterrupt: it came while a side was asked
            del failure, before

    def _operate(
        self,
        function: Any,
        arguments: Tuple[Any, ...],
        context: Optional[Context],
        payload: Optional[bytes],
        operation_id: Optional[str],
        strict: bool,
    ) -> RouteResult:
        call = s.RouteCallStruct(
            context=pointer_of(context) if context is not None else None,
            payload=payload,
            payload_length=len(payload) if payload is not None else 0,
            operation_id=optional(operation_id, "the operation id"),
            strict=bool(strict),
        )
        result = s.RouteResultStruct()
        try:
            self._run(function, *arguments, byref(call), byref(result))
            return _result_of(result)
        except FlagverError as error:
            error.result = _result_of(result)
            raise
        finally:
            quick.route_result_clear(byref(result))

    def read(
        self,
        key: str,
        *,
        context: Optional[Context] = None,
        payload: Optional[bytes] = None,
        strict: bool = False,
    ) -> RouteResult:
        """Read a record. `NotFoundError`: the side whose answer it is has none.

        payload  passed on to the sides' `read`
        strict   not less than the last write that was acknowledged, whichever side has it
        """
        arguments = (text(key, "the key"),)
        return self._operate(store.route_read, arguments, context, payload, None, strict)

    def write(
        self,
        key: Optional[str],
        value: Value,
        *,
        context: Optional[Context] = None,
        operation_id: Optional[str] = None,
    ) -> RouteResult:
        """Write a record: the authority, and where the stage says so the other side, whose failure is
        in the result and not raised. Key None: create a record whose key the authority makes."""
        encoded = _value(value, "the value")
        arguments = optional(key, "the key"), encoded, len(encoded)
        return self._operate(store.route_write, arguments, context, None, operation_id, False)

    def remove(
        self, key: str, *, context: Optional[Context] = None, operation_id: Optional[str] = None
    ) -> RouteResult:
        """Remove a record."""
        arguments = (text(key, "the key"),)
        return self._operate(store.route_remove, arguments, context, None, operation_id, False)

    # ---- going on, and back ----

    def stage(
        self,
        actor: "Union[str, Actor]",
        stage: str,
        *,
        percentage: float = 0,
        forced: Optional[str] = None,
        note: Optional[str] = None,
        wait_ms: int = 0,
    ) -> None:
        """Take the migration to another stage. `StateError`: it does not follow, or a gate is shut;
        the message says what to do. `forced`: why the gates do not matter."""
        from .client import actor_struct

        change = change_struct(percentage, forced, note, wait_ms)
        self._run(
            store.route_stage, byref(actor_struct(actor)), stage_number(stage), byref(change)
        )

    def rollback(self, actor: "Union[str, Actor]", note: Optional[str] = None) -> None:
        """Take it all back: reads to the old side at once, then the rest."""
        from .client import actor_struct

        self._run(
            store.route_rollback, byref(actor_struct(actor)), optional(note, "the note")
        )

    def step(self, budget_ms: int = 100) -> Progress:
        """Do some of the work that there is: copy, repair, carry out. With `background` a thread of
        the library does it by itself."""
        p = s.RouteProgressStruct()
        self._run(store.route_step, small(budget_ms, "budget_ms"), byref(p))
        return Progress(
            _name(STAGES, p.stage),
            p.settled,
            p.copied_all,
            p.repaired,
            p.unrepaired,
            p.waiting,
            p.copied,
            p.oldest_ms,
            p.copied_so_far,
            p.copy_total,
            p.copy_rate,
            None if p.copy_left_ms < 0 else p.copy_left_ms,
            p.rest_ms,
            p.verified,
            p.compared_so_far,
            p.compare_rate,
            None if p.compare_left_ms < 0 else p.compare_left_ms,
            p.differences,
            p.left_out,
        )

    def status(self) -> Dict[str, Any]:
        """How the migration stands: see flagver_route_status()."""
        pointer = ctypes.c_void_p()
        self._run(store.route_status, byref(pointer))
        return json.loads(take_text(pointer))  # type: ignore[no-any-return]

    def verify(
        self,
        visit: Optional[Callable[[Difference], Any]] = None,
        *,
        chunk: int = 0,
        confirm_ms: int = 0,
        repair: bool = False,
    ) -> Comparison:
        """Compare all records of both sides; `visit` is told of each difference, False ends it.
        `repair`: make the side that is not believed equal."""
        compared, differences = ctypes.c_uint64(), ctypes.c_uint64()
        left_out = ctypes.c_uint64()
        options = s.CompareOptionsStruct(
            chunk=small(chunk, "chunk"),
            confirm_ms=small(confirm_ms, "confirm_ms"),
            repair=bool(repair),
            ret_left_out=ctypes.pointer(left_out),
        )

        def tell(d: s.DifferenceStruct) -> Any:
            if visit is None:
                return True
            return visit(_difference_of(d))

        with visiting(s.VisitDifference, tell) as visitor:
            self._run(
                store.route_verify, byref(options), visitor, None, byref(compared), byref(differences)
            )
        return Comparison(compared.value, differences.value, left_out.value)


def change_struct(
    percentage: float, forced: Optional[str], note: Optional[str], wait_ms: int
) -> s.RouteChangeStruct:
    return s.RouteChangeStruct(
        percentage=float(percentage),
        forced=optional(forced, "forced"),
        note=optional(note, "the note"),
        wait_ms=small(wait_ms, "wait_ms"),
    )
