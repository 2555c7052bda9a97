"""The client: where flags come from, and records."""

from __future__ import annotations

import ctypes
import json
import logging
from datetime import datetime
from operator import attrgetter
from typing import (
    Any,
    Callable,
    Dict,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Type,
    TypeVar,
    Union,
)

from . import _structs as s
from ._convert import Time, decoded, json_text, microseconds, milliseconds, optional, small, text, words
from ._core import Core, Holder
from ._library import ask_text, check, quick, quick_function, store
from .context import Context
from .errors import ClosedError
from .evaluation import (
    CONTEXT,
    Asking,
    Calls,
    Converter,
    Detail,
    Flag,
    Snapshot,
    detail_of,
    pointer_of,
)

C = TypeVar("C", bound="Client")

_log = logging.getLogger("flagver")


class Actor(NamedTuple):
    """Who acts, and what the actor may call itself. The library takes the host's word for it."""

    id: str
    roles: Sequence[str] = ()


def actor_struct(actor: Union[str, Actor]) -> s.ActorStruct:
    """For C. The struct refers to what it needs."""
    if isinstance(actor, str):
        actor = Actor(actor)
    if not isinstance(actor, Actor):
        raise TypeError("the actor is %s; a str or Actor is wanted" % type(actor).__name__)
    if isinstance(actor.roles, str):
        raise TypeError("the roles of an actor are a list of str, not one str")
    roles = [text(role, "a role") for role in actor.roles]
    struct = s.ActorStruct(id=text(actor.id, "the actor"))
    if roles:
        struct.roles = (ctypes.c_char_p * len(roles))(*roles)
        struct.role_count = len(roles)
    return struct


class Alert(NamedTuple):
    """A guard of a schedule has tripped; as flagver_rollout_alert."""

    flag: str
    guard: str
    value: float
    limit: float
    from_percentage: float
    to_percentage: float
    samples: int
    acted: bool
    no: int
    why: str


def alert_of(a: s.AlertStruct) -> Alert:
    return Alert(
        words(a.flag),
        words(a.guard),
        a.value,
        a.limit,
        a.from_,
        a.to,
        a.samples,
        a.acted,
        a.no,
        words(a.why),
    )


class Hook:
    """The host's part in evaluations, for tracing. Derive from it.

    Both methods run on the evaluating thread. They may evaluate flags (with hooks silent for those)
    but must not close the client. A client with a hook evaluates slower.
    """

    def before(self, flag: str) -> None:
        """The evaluation of a flag begins."""

    def after(self, detail: Detail) -> None:
        """It ended."""


#: What `authorize` answers.
DENY, ALLOW, ASK_RULES = 0, 1, 2


def _hook_struct(holder: Holder, hook: Hook, kept: List[Any]) -> s.HookStruct:
    def before(_: Any, flag: Optional[bytes], __: Any) -> None:
        hook.before(words(flag))

    def after(_: Any, __: Any, pointer: Any) -> None:
        d = pointer.contents
        key = ctypes.string_at(d.flag, d.flag_length).decode("utf-8", "replace") if d.flag else ""
        hook.after(detail_of(d, key, None))

    struct = s.HookStruct(
        s.BeforeFunction(holder.wrap("hook.before", before, None)),
        s.AfterFunction(holder.wrap("hook.after", after, None)),
        None,
    )
    kept.append(struct)
    return struct


def _clock_function(holder: Holder, clock: Callable[[], datetime]) -> Any:
    import time

    def ask(_: Any) -> int:
        return milliseconds(clock(), "what the clock says")

    def ask_safely(argument: Any) -> int:
        now: Optional[int] = wrapped(argument)
        return time.time_ns() // 1000000 if now is None else now

    wrapped = holder.wrap("clock", ask, None)
    return s.ClockFunction(ask_safely)


def _log_function(holder: Holder, log: Callable[[str], None]) -> Any:
    def tell(_: Any, __: int, message: bytes) -> None:
        log(words(message))

    return s.LogFunction(holder.wrap("log", tell, None))


def _authorize_function(holder: Holder, authorize: Callable[[Actor, str, str, str], int]) -> Any:
    def ask(_: Any, pointer: Any, action: bytes, phase: bytes, subject: bytes) -> int:
        a = pointer.contents
        roles = [words(a.roles[i]) for i in range(a.role_count)]
        return int(
            authorize(Actor(words(a.id), roles), words(action), words(phase), words(subject))
        )

    return s.AuthorizeFunction(holder.wrap("authorize", ask, DENY))


def _key_function(holder: Holder, key: Callable[[Optional[str]], Any]) -> Any:
    def ask(_: Any, wanted: Optional[bytes], ret_id: Any, ret_key: Any) -> int:
        found = key(decoded(wanted))
        if found is None:
            return 1
        name, secret = found
        encoded = text(name, "the id of a key")
        if len(encoded) > 64 or len(secret) != 32:
            raise ValueError("a key is an id of up to 64 bytes and 32 bytes")
        ret_id.contents.value = encoded
        ctypes.memmove(ret_key, bytes(secret), 32)
        return 0

    return s.KeyFunction(holder.wrap("key", ask, 1))


def alert_function(holder: Holder, alert: Callable[[Alert], None]) -> Any:
    def tell(_: Any, pointer: Any) -> None:
        alert(alert_of(pointer.contents))

    return s.AlertFunction(holder.wrap("alert", tell, None))


class Client(Asking):
    """A source of flags, and the way to a store. Any number of threads may use it.

    >>> with Client("definitions:") as client:
    ...     client.load({"flags": {"fresh": {"type": "boolean", "percentage": 25}}})
    ...     client.boolean("fresh", Context("user42"), False)
    True

    The URI is one of "sqlite:PATH", "postgresql://…", "memory:", "file:PATH" (a definitions file) and
    "definitions:" (`load`). Evaluations take nanoseconds and wait for nothing. What touches the store
    takes as long as the store does, and gives up Python's global lock meanwhile; in an event loop
    use `flagver.aio`.

    background   a thread of the library follows changes of other processes, within a second; without
                 it call `refresh`, or watch `fileno`
    environment  variables force and change flags, as definitions and FLAGVER_FLAG_… say
    tenant, cache_file, wait_ms, poll_ms, flush_ms, key_file, guardian  as in <flagver/client.h>
    log          gets the library's warnings; by default the logger "flagver" does
    hook         a `Hook` around evaluations
    clock        gives the time that schedules go by, a datetime with a time zone
    authorize    asked in place of policies' rules: (actor, action, phase, subject) to ALLOW, DENY or
                 ASK_RULES; an exception denies
    key          gives a key-encryption key: (id or None) to (id, 32 bytes) or None
    alert        told when a guard has tripped, with `guardian`

    Callbacks must not close the client. Their exceptions are logged, and go nowhere.
    """

    __slots__ = ("_core", "_calls", "_clock", "_listeners", "__weakref__")

    def __init__(
        self,
        uri: str,
        *,
        background: bool = True,
        environment: bool = True,
        tenant: Optional[str] = None,
        cache_file: Optional[str] = None,
        wait_ms: int = 0,
        poll_ms: int = 0,
        flush_ms: int = 0,
        log: Optional[Callable[[str], None]] = None,
        hook: Optional[Hook] = None,
        clock: Optional[Callable[[], datetime]] = None,
        authorize: Optional[Callable[[Actor, str, str, str], int]] = None,
        key: Optional[Callable[[Optional[str]], Any]] = None,
        key_file: Optional[str] = None,
        guardian: Union[str, Actor, None] = None,
        alert: Optional[Callable[[Alert], None]] = None,
    ) -> None:
        encoded = text(uri, "the URI")
        holder = Holder()
        options = s.OptionsStruct(
            no_environment=not environment,
            background=bool(background) and not encoded.startswith((b"file:", b"definitions:")),
            tenant=optional(tenant, "the tenant"),
            cache_file=optional(cache_file, "the cache file"),
            wait_ms=small(wait_ms, "wait_ms"),
            poll_ms=small(poll_ms, "poll_ms"),
            flush_ms=small(flush_ms, "flush_ms"),
            key_file=optional(key_file, "the key file"),
            log=_log_function(holder, _log.warning if log is None else log),
        )
        kept: List[Any] = [options]
        if hook is not None:
            options.hook = ctypes.pointer(_hook_struct(holder, hook, kept))
        if clock is not None:
            options.clock = _clock_function(holder, clock)
        if authorize is not None:
            options.authorize = _authorize_function(holder, authorize)
        if key is not None:
            options.key = _key_function(holder, key)
        if guardian is not None:
            options.guardian = ctypes.pointer(actor_struct(guardian))
        if alert is not None:
            options.alert = alert_function(holder, alert)

        pointer = ctypes.c_void_p()
        check(store.open, encoded, ctypes.byref(options), ctypes.byref(pointer))
        self._take(pointer, holder, kept, hook is not None or clock is not None)
        self._clock = options.clock if clock is not None else None

    def _take(self, pointer: ctypes.c_void_p, holder: Holder, kept: List[Any], guarded: bool) -> None:
        assert pointer.value is not None
        self._core = holder.core = Core(pointer.value)
        self._core.kept.extend(kept)
        self._core.guarded = guarded
        self._calls = Calls(self._core, guarded)
        self._listeners: Dict[int, Any] = {}

    def tenant(self: C, name: str) -> "Client":
        """Another tenant's records in the same store: a client of its own, to be closed as well."""
        pointer = ctypes.c_void_p()
        self._core.call(store.client_tenant, text(name, "the tenant"), ctypes.byref(pointer))
        other = Client.__new__(Client)
        # The callbacks are this client's, and have to live as long as the other one.
        other._take(pointer, Holder(), [*self._core.kept, self._core], self._core.guarded)
        other._clock = self._clock
        return other

    # ---- the end ----

    def close(self) -> None:
        """Close. Transactions that are open are rolled back, and routes closed; whoever is inside of
        a call is waited for. Afterwards all calls raise `ClosedError`. A second time does nothing."""
        self._core.close()

    @property
    def closed(self) -> bool:
        return self._core.closed

    def __enter__(self: C) -> C:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        core = getattr(self, "_core", None)
        if core is not None:
            core.drop()

    def __repr__(self) -> str:
        return "<flagver.Client%s>" % (" (closed)" if self.closed else "")

    # ---- evaluating ----

    def _evaluate(self, key: bytes, context: Context, kind: int, d: s.DetailStruct) -> int:
        core = self._core
        if core.guarded:
            with core:
                return self._evaluate_now(key, context, kind, d)
        return self._evaluate_now(key, context, kind, d)

    def _evaluate_now(self, key: bytes, context: Context, kind: int, d: s.DetailStruct) -> int:
        core = self._core
        error: int = _flag_evaluate(core, key, len(key), context, kind, ctypes.byref(d))
        if error and core.closed:
            raise ClosedError("the client is closed")
        return error

    def bind(self, key: str) -> Flag:
        """A handle of a flag, which may be there or not: the quickest way to evaluate."""
        return Flag(self._calls, self._calls.bound(self._core, text(key, "the key")), key)

    def evaluate_all(self, context: Optional[Context] = None) -> List[Detail]:
        """Every flag for one context, all from one state, in byte order of their keys."""
        found: List[Detail] = []

        def visit(d: s.DetailStruct) -> None:
            key = ctypes.string_at(d.flag, d.flag_length).decode()
            found.append(detail_of(d, key, None))

        with visiting(s.VisitDetail, visit) as function, self._core as core:
            quick.flag_all(core.handle, pointer_of(context), function, None)
        return found

    def explain(self, key: str, context: Optional[Context] = None) -> Dict[str, Any]:
        """Why a flag serves what it serves: the result, and "steps"."""
        encoded = key.encode()
        with self._core as core:
            answer = ask_text(
                quick.flag_explain, core.handle, encoded, len(encoded), pointer_of(context)
            )
        return json.loads(answer)  # type: ignore[no-any-return]

    def override(self, key: str, variant: Optional[str]) -> None:
        """Serve this variant to everyone in this process; None takes that back."""
        self._core.call(store.flag_override, text(key, "the key"), optional(variant, "the variant"))

    def counts(self) -> Dict[str, Dict[Optional[str], int]]:
        """How often each variant of each flag was served; under None those that ended in an error."""
        found: Dict[str, Dict[Optional[str], int]] = {}

        def visit(flag: bytes, variant: Optional[bytes], count: int) -> None:
            found.setdefault(words(flag), {})[decoded(variant)] = count

        with visiting(s.VisitCount, visit) as function:
            self._core.call(store.flag_counts, function, None)
        return found

    # ---- the state of the flags ----

    def refresh(self) -> None:
        """Read the environment again, and what has changed in the file or the store."""
        self._core.call(store.client_refresh)

    def load(self, definitions: Any) -> None:
        """Replace all definitions of a "definitions:" client: a dict, or JSON text as bytes."""
        encoded = json_text(definitions, "definitions")
        self._core.call(store.client_load, encoded, len(encoded))

    def merge(self, definitions: Any) -> None:
        """Put these beside the ones it has; None in place of a definition removes it."""
        encoded = json_text(definitions, "definitions")
        self._core.call(store.client_merge, encoded, len(encoded))

    @property
    def generation(self) -> int:
        """A number that changes with every new state of the flags, and with nothing else."""
        with self._core as core:
            return int(quick.client_generation(core.handle))

    def snapshot(self) -> Snapshot:
        """All flags as they are now. It stays good when the client is closed."""
        with self._core as core:
            pointer = store.client_snapshot(core.handle)
        if not pointer:
            raise MemoryError("out of memory")
        return Snapshot(pointer, self._clock)

    def snapshot_at(self, time: Time) -> Snapshot:
        """All flags as they were at this time, with the clock set to then."""
        pointer = ctypes.c_void_p()
        self._core.call(store.snapshot_at, microseconds(time, "time"), ctypes.byref(pointer))
        assert pointer.value is not None
        return Snapshot(pointer.value)

    def listen(self, changed: Callable[[List[str]], None]) -> int:
        """Be told when flags change: `changed` is called with their keys after a new state was
        published, on the thread that refreshed. Returns a number for `unlisten`."""
        holder = Holder()
        holder.core = self._core

        def tell(_: Any, keys: Any, count: int) -> None:
            changed([words(keys[i]) for i in range(count)])

        function = s.ListenFunction(holder.wrap("a listener", tell, None))
        self._core.kept.append(function)  # until the client is closed: it may be running now
        return self._core.call(store.client_listen, function, None)

    def unlisten(self, listener: int) -> None:
        """No more calls of this listener; waits for one under way on another thread."""
        with self._core as core:
            store.client_unlisten(core.handle, small(listener, "the listener"))

    def fileno(self) -> int:
        """A descriptor that becomes readable when `refresh` is due, for event loops; only without
        `background`. It belongs to the client: only poll it."""
        return self._core.call(store.client_fd)

    def reopen(self) -> None:
        """After a fork, in the child: open the store anew."""
        self._core.call(store.client_reopen)

    def health(self) -> Dict[str, Any]:
        """How the client is doing: "status" is "ok", "stale" or "forked"; see <flagver/client.h>."""
        with self._core as core:
            answer = ask_text(store.client_health, core.handle)
        return json.loads(answer)  # type: ignore[no-any-return]


# For a client that was closed C gets NULL, and says that there is no client.
_flag_evaluate = quick_function(
    "flagver_flag_evaluate",
    ctypes.c_int,
    Converter(attrgetter("argument")),
    ctypes.c_char_p,
    ctypes.c_size_t,
    CONTEXT,
    ctypes.c_int,
    ctypes.c_void_p,
)


class visiting:
    """A function that C calls for each of several things. An exception in it ends the visit, and is
    raised at the end of the block."""

    def __init__(self, kind: Any, visit: Callable[..., Any]) -> None:
        self._kind = kind
        self._visit = visit
        self._failure: Optional[BaseException] = None

    def __enter__(self) -> Any:
        visit = self._visit
        by_pointer = self._kind._argtypes_[1:2] and hasattr(self._kind._argtypes_[1], "contents")

        def called(_: Any, *arguments: Any) -> bool:
            if self._failure is not None:
                return False
            try:
                if by_pointer:
                    return visit(arguments[0].contents) is not False
                return visit(*arguments) is not False
            except BaseException as failure:
                self._failure = failure
                return False

        if self._kind._restype_ is None:
            return self._kind(lambda *arguments: called(*arguments) and None)
        return self._kind(called)

    def __exit__(self, kind: Optional[Type[BaseException]], *_: Any) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

