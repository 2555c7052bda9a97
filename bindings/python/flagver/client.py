"""The client: where flags come from, and records."""

from __future__ import annotations

import ctypes
import json
import logging
import time
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
    Tuple,
    Type,
    TypeVar,
    Union,
)

from . import _structs as s
from ._convert import (
    Time,
    decoded,
    microseconds,
    milliseconds,
    number,
    object_text,
    optional,
    size,
    small,
    text,
    whole,
    words,
)
from ._core import Core, Holder
from ._library import ask_text, check, quick, quick_function, store
from .context import Context
from ._visit import visiting
from .audit import Head, Proof, Verification, proof_of, verify_with
from .errors import ClosedError, NotFoundError
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
from .records import (
    AuditEntry,
    DataKey,
    Item,
    Mapping,
    Metrics,
    PlanStep,
    Tracked,
    Version,
    Vote,
    entry_of,
    item_of,
    key_of,
    mapping_of,
    metrics_of,
    states_mask,
    step_of,
    tracked_of,
    version_of,
    vote_of,
)
from .routing import Route, change_struct, stage_number
from .transaction import Transaction, run, txn_options

T = TypeVar("T")
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
        answer = authorize(Actor(words(a.id), roles), words(action), words(phase), words(subject))
        if answer not in (DENY, ALLOW, ASK_RULES):
            raise ValueError("authorize() returned %r; ALLOW, DENY and ASK_RULES allowed" % (answer,))
        return int(answer)

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

    __slots__ = ("_core", "_calls", "_clock", "_holder", "__weakref__")

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
        self._core = Core(pointer.value)
        self._holder = holder
        holder.lead(self._core)
        self._core.kept.extend(kept)
        self._core.guarded = guarded
        self._calls = Calls(self._core, guarded)

    def tenant(self: C, name: str) -> "Client":
        """Another tenant's records in the same store: a client of its own, to be closed as well."""
        pointer = ctypes.c_void_p()
        self._core.call(store.client_tenant, text(name, "the tenant"), ctypes.byref(pointer))
        other = Client.__new__(Client)
        # The callbacks are this client's, and have to live as long as the other one.
        other._take(pointer, self._holder, [*self._core.kept, self._core], self._core.guarded)
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
        encoded = str.encode(key)
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
        """Replace all definitions of a "definitions:" client: a dict, or JSON text."""
        encoded = object_text(definitions, "definitions")
        self._core.call(store.client_load, encoded, len(encoded))

    def merge(self, definitions: Any) -> None:
        """Put these beside the ones it has; None in place of a definition removes it."""
        encoded = object_text(definitions, "definitions")
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
        holder.lead(self._core)

        def tell(_: Any, keys: Any, count: int) -> None:
            changed([words(keys[i]) for i in range(count)])

        function = s.ListenFunction(holder.wrap("a listener", tell, None))
        with self._core as core:
            number = check(store.client_listen, core.handle, function, None)
            core.listeners[number] = function
        return number

    def unlisten(self, listener: int) -> None:
        """No more calls of this listener; waits for one under way on another thread."""
        number = small(listener, "the listener")
        with self._core as core:
            store.client_unlisten(core.handle, number)
            function = core.listeners.pop(number, None)
            if core.is_in_callback():
                core.kept.append(function)  # it may be this one, which is to run to its end

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

    # ---- writing ----

    def begin(
        self,
        actor: Union[str, Actor],
        *,
        idempotency_key: Optional[str] = None,
        timeout_ms: int = 0,
    ) -> Transaction:
        """Begin a transaction: best ``with client.begin("alice") as txn:``.

        idempotency_key  makes running it again harmless, for 7 days
        timeout_ms       how long it may stay open (30,000); -1: as long as it likes
        """
        struct, options = actor_struct(actor), txn_options(idempotency_key, timeout_ms)
        pointer = ctypes.c_void_p()
        arguments = ctypes.byref(struct), ctypes.byref(options), ctypes.byref(pointer)
        with self._core as core:  # until it is in the table, where who closes has to find it
            check(store.txn_begin, core.handle, *arguments)
            assert pointer.value is not None
            return Transaction(self, pointer.value)

    def transact(
        self,
        actor: Union[str, Actor],
        do: Callable[[Transaction], T],
        *,
        idempotency_key: Optional[str] = None,
        timeout_ms: int = 0,
    ) -> T:
        """Run `do` in a transaction, commit it, and return what `do` returned.

        Both are run again, up to 10 times with growing pauses, when others were in the way (a
        `RetryError`); so `do` should have no other effects. An unknown outcome is found out: nothing
        is applied twice. Any other exception rolls back, and comes out here.
        """
        return run(self, actor, do, idempotency_key, timeout_ms)

    # ---- reading records ----

    def current(self, phase: str, subject: str) -> Version:
        """The version in force. `NotFoundError`: there is none, or it is deleted."""
        return self._version(store.version_current, *_record(phase, subject))

    def version(self, phase: str, subject: str, no: int) -> Version:
        """Version `no`."""
        return self._version(store.version_get, *_record(phase, subject), number(no, "no"))

    def as_of(self, phase: str, subject: str, time: Time) -> Version:
        """The version that was in force at this time."""
        when = microseconds(time, "time")
        return self._version(store.version_as_of, *_record(phase, subject), when)

    def by_id(self, id: str) -> Version:
        """The version with this id."""
        return self._version(store.version_by_id, text(id, "the id"))

    def _version(self, function: Any, *arguments: Any) -> Version:
        pointer = ctypes.POINTER(s.VersionStruct)()
        self._core.call(function, *arguments, ctypes.byref(pointer))
        try:
            return version_of(pointer.contents)
        finally:
            quick.version_free(pointer)

    def history(
        self,
        phase: str,
        subject: str,
        *,
        after_no: int = 0,
        limit: int = 0,
        backwards: bool = False,
        payload: bool = True,
        states: Optional[List[str]] = None,
    ) -> List[Version]:
        """The versions of one record, by number; without `payload` they are read sooner."""
        options = s.ListOptionsStruct(
            after_no=number(after_no, "after_no"),
            limit=number(limit, "limit"),
            backwards=bool(backwards),
            payload=bool(payload),
            states=states_mask(states),
        )
        return self._versions(
            store.version_history, *_record(phase, subject), ctypes.byref(options)
        )

    def versions(
        self,
        phase: Optional[str] = None,
        *,
        prefix: Optional[str] = None,
        after: Optional[str] = None,
        after_no: int = 0,
        limit: int = 0,
        backwards: bool = False,
        payload: bool = True,
        deleted: bool = False,
        states: Optional[List[str]] = None,
        as_of: Optional[Time] = None,
        author: Optional[str] = None,
    ) -> List[Version]:
        """The versions in force of a phase, or of all, by subject; or with `states` every version
        in one of these. For many, page with `limit` and `after`: the last subject."""
        options = _list_options(prefix, after, after_no, limit, backwards, payload)
        options.all = bool(deleted)
        options.states = states_mask(states)
        options.as_of = microseconds(as_of, "as_of")
        options.author = optional(author, "the author")
        return self._versions(
            store.version_list, optional(phase, "the phase"), ctypes.byref(options)
        )

    def due(
        self,
        actor: Union[str, Actor],
        phase: Optional[str] = None,
        *,
        prefix: Optional[str] = None,
        after: Optional[str] = None,
        limit: int = 0,
        payload: bool = True,
    ) -> List[Version]:
        """What waits for this actor's approval."""
        options = _list_options(prefix, after, 0, limit, False, payload)
        struct = actor_struct(actor)
        return self._versions(
            store.version_due,
            ctypes.byref(struct),
            optional(phase, "the phase"),
            ctypes.byref(options),
        )

    def _versions(self, function: Any, *arguments: Any) -> List[Version]:
        return self._collect(s.VisitVersion, version_of, function, *arguments)

    def _collect(
        self, kind: Any, convert: Callable[[Any], T], function: Any, *arguments: Any
    ) -> List[T]:
        found: List[T] = []

        def visit(struct: Any) -> None:
            found.append(convert(struct))

        with visiting(kind, visit) as visitor:
            self._core.call(function, *arguments, visitor, None)
        return found

    def items(self, phase: str, subject: str, no: int) -> List[Item]:
        """The items of a version, by their keys."""
        arguments = *_record(phase, subject), number(no, "no")
        return self._collect(s.VisitItem, item_of, store.items_list, *arguments)

    def votes(self, phase: str, subject: str, no: int) -> List[Vote]:
        """The approvals of a version, as they came."""
        arguments = *_record(phase, subject), number(no, "no")
        return self._collect(s.VisitVote, vote_of, store.votes_list, *arguments)

    def authors(self, phase: str, subject: str, no: int) -> List[str]:
        """Who has written a version: its creator first."""
        arguments = *_record(phase, subject), number(no, "no")
        return self._collect(s.VisitName, words, store.authors_list, *arguments)

    def diff(self, phase: str, subject: str, from_no: int, to_no: int) -> str:
        """What changed, in lines for people. Number 0 is the empty object."""
        return self._diff(phase, subject, from_no, to_no, 1)

    def merge_patch(self, phase: str, subject: str, from_no: int, to_no: int) -> Any:
        """What changed, as a merge patch (RFC 7396)."""
        return json.loads(self._diff(phase, subject, from_no, to_no, 2))

    def _diff(self, phase: str, subject: str, from_no: int, to_no: int, form: int) -> str:
        arguments = *_record(phase, subject), number(from_no, "from_no"), number(to_no, "to_no")
        return self._text(store.version_diff, *arguments, form)

    def _text(self, function: Any, *arguments: Any) -> str:
        with self._core as core:
            return ask_text(function, core.handle, *arguments)

    def policy(self, phase: str, subject: Optional[str] = None) -> Dict[str, Any]:
        """The policy in force for records of this phase and subject, with all defaults."""
        arguments = text(phase, "the phase"), optional(subject, "the subject")
        return json.loads(  # type: ignore[no-any-return]
            self._text(store.phase_policy, *arguments)
        )

    def metrics(
        self,
        phase: Optional[str] = None,
        *,
        prefix: Optional[str] = None,
        from_time: Optional[Time] = None,
        to_time: Optional[Time] = None,
        parts: int = 0,
        by_month: bool = False,
    ) -> List[Metrics]:
        """How many versions there are in which state, and how long they took."""
        options = s.MetricOptionsStruct(
            phase=optional(phase, "the phase"),
            prefix=optional(prefix, "the prefix"),
            from_=microseconds(from_time, "from_time"),
            to=microseconds(to_time, "to_time"),
            parts=small(parts, "parts"),
            by_month=bool(by_month),
        )
        return self._collect(
            s.VisitMetric, metrics_of, store.version_metrics, ctypes.byref(options)
        )

    # ---- flags as code ----

    def plan(
        self, definitions: Any, *, name: Optional[str] = None, prune: bool = False
    ) -> List[PlanStep]:
        """What `Transaction.apply` would do."""
        encoded = object_text(definitions, "definitions")
        arguments = encoded, len(encoded), optional(name, "the name"), bool(prune)
        return self._collect(s.VisitStep, step_of, store.flags_plan, *arguments)

    def export_flags(self) -> str:
        """All flags and segments in force, as a definitions file."""
        return self._text(store.flags_export)

    def guard(
        self, actor: Union[str, Actor], alert: Optional[Callable[[Alert], None]] = None
    ) -> int:
        """Look at the guards of schedules, and take flags back whose guard has tripped. Returns how
        many. To be called every minute or so; the option `guardian` does it by itself."""

        def visit(struct: s.AlertStruct) -> None:
            if alert is not None:
                alert(alert_of(struct))

        struct = actor_struct(actor)
        with visiting(s.AlertFunction, visit) as function:
            return self._core.call(store.flags_guard, ctypes.byref(struct), function, None)

    # ---- what becomes of flags ----

    def track(
        self, event: str, context: Optional[Context] = None, value: float = 1.0
    ) -> None:
        """Something happened that flags are measured by. It is counted in memory."""
        encoded = text(event, "the event")
        with self._core as core:
            check(store.track, core.handle, pointer_of(context), encoded, float(value))

    def track_outcome(
        self,
        flag: str,
        variant: Optional[str],
        failed: bool,
        seconds: Optional[float] = None,
    ) -> None:
        """The code behind a flag has run; it took so long. `variant` is that of the detail."""
        latency = -1 if seconds is None else whole(int(seconds * 1e9), "seconds")
        self._core.call(
            store.track_outcome,
            text(flag, "the flag"),
            optional(variant, "the variant"),
            bool(failed),
            latency,
        )

    def outcome(self, flag: str, variant: Optional[str]) -> "Outcome":
        """The same around a block: an exception is a failure.

        >>> with client.outcome("report_setup", detail.variant):
        ...     make_report()
        """
        return Outcome(self, flag, variant)

    def flush_tracked(self) -> None:
        """Add what was counted to the store. With `background` that is done every `flush_ms`."""
        self._core.call(store.track_flush)

    def tracked(
        self,
        flag: Optional[str] = None,
        *,
        from_time: Optional[Time] = None,
        to_time: Optional[Time] = None,
        by: str = "all",
        own: bool = False,
    ) -> List[Tracked]:
        """What was tracked, by "all", "day" or "hour". `own`: by this client, flushed or not."""
        options = _track_options(flag, from_time, to_time, by, own)
        return self._collect(s.VisitTrack, tracked_of, store.track_report, ctypes.byref(options))

    def openmetrics(
        self,
        flag: Optional[str] = None,
        *,
        from_time: Optional[Time] = None,
        to_time: Optional[Time] = None,
        own: bool = False,
    ) -> str:
        """The same as OpenMetrics text, for a scrape."""
        options = _track_options(flag, from_time, to_time, "all", own)
        return self._text(store.track_openmetrics, ctypes.byref(options))

    def forget_tracked(self, before: Time) -> None:
        """Delete the sums of earlier hours from the store."""
        self._core.call(store.track_forget, microseconds(before, "before"))

    # ---- the audit log ----

    def audit_log(self, from_no: int = 0, limit: int = 0) -> Tuple[List[AuditEntry], int]:
        """Entries of the log in order, and the number to ask for next time."""
        following = ctypes.c_uint64()
        found: List[AuditEntry] = []

        def visit(entry: s.AuditEntryStruct) -> None:
            found.append(entry_of(entry))

        with visiting(s.VisitEntry, visit) as function:
            self._core.call(
                store.audit_log,
                size(from_no, "from_no"),
                number(limit, "limit"),
                function,
                None,
                ctypes.byref(following),
            )
        return found, following.value

    def audit_head(self) -> Head:
        """Size and root of the log now."""
        count, root = ctypes.c_uint64(), s.Bytes32()
        self._core.call(store.audit_head, ctypes.byref(count), root)
        return Head(count.value, bytes(root))

    def checkpoint(self, signer: Optional[str] = None, origin: Optional[str] = None) -> str:
        """A checkpoint of the log now, signed by a key of `audit.keygen`."""
        arguments = optional(origin, "the origin"), optional(signer, "the signer")
        return self._text(store.audit_checkpoint, *arguments)

    def prove_inclusion(self, no: int, log_size: int = 0) -> Proof:
        """That leaf `no` is in the log of so many leaves (0: as it is now)."""
        return self._prove(store.audit_prove_inclusion, no, log_size)

    def prove_consistency(self, old_size: int, log_size: int = 0) -> Proof:
        """That the log of `old_size` leaves is the beginning of that of `log_size`."""
        return self._prove(store.audit_prove_consistency, old_size, log_size)

    def _prove(self, function: Any, first: int, second: int) -> Proof:
        proof = s.ProofStruct()
        arguments = size(first, "the number"), size(second, "the size")
        self._core.call(function, *arguments, ctypes.byref(proof))
        return proof_of(proof)

    def verify(
        self,
        checkpoint: Optional[str] = None,
        verifier: Optional[str] = None,
        *,
        tree_only: bool = False,
    ) -> Verification:
        """Recompute everything: log, tree, records. Findings are lines for people."""
        with self._core as core:
            return verify_with(
                store.audit_verify, core.handle, checkpoint, verifier, tree_only
            )

    # ---- routes ----

    def route(self, migration: Optional[str], old: Any, new: Any, **options: Any) -> Route:
        """Open the route of a migration between two sides: objects with the functions of
        `routing.Side`.

        flag            the stage comes from this string flag instead; then `migration` is None, and
                        default_stage is what to go by without an answer
        compare         are these equal? (key, old value, new value) to True, False, or None: cannot
                        be told. Without it shadow reads are not compared
        order, workers  "concurrent" (with workers, threads of the library), "serial" or "random"
        event, alert    told of each operation, and of each guard that has tripped
        background      a thread of the library takes steps; else call `Route.step`
        throttle        asked before each chunk of a copy: 0 goes on, above after so many milliseconds,
                        below not in this step
        verify          what steps do when all is copied: "call" nothing, "report" compare the sides,
                        "repair" and make them equal
        difference      told of each `routing.Difference` that steps find
        shadow_timeout_ms, check_ratio, sampling_ratio, chunk_ms, copy_share  as in <flagver/route.h>
        """
        return Route(self, migration, old, new, **options)

    def migration_stage(
        self,
        migration: str,
        actor: Union[str, Actor],
        stage: str,
        *,
        percentage: float = 0,
        forced: Optional[str] = None,
        note: Optional[str] = None,
        wait_ms: int = 0,
    ) -> None:
        """As `Route.stage`, for who does not have the sides. `BusyError`: nobody has carried it out
        yet."""
        struct = actor_struct(actor)
        change = change_struct(percentage, forced, note, wait_ms)
        self._core.call(
            store.migration_stage,
            text(migration, "the migration"),
            ctypes.byref(struct),
            stage_number(stage),
            ctypes.byref(change),
        )

    def migration_rollback(
        self,
        migration: str,
        actor: Union[str, Actor],
        *,
        note: Optional[str] = None,
        wait_ms: int = 0,
    ) -> None:
        """As `Route.rollback`, for who does not have the sides."""
        struct, change = actor_struct(actor), change_struct(0, None, note, wait_ms)
        self._core.call(
            store.migration_rollback,
            text(migration, "the migration"),
            ctypes.byref(struct),
            ctypes.byref(change),
        )

    def migration_status(self, migration: str) -> Dict[str, Any]:
        """How a migration stands, as far as its own store tells."""
        answer = self._text(store.migration_status, text(migration, "the migration"))
        return json.loads(answer)  # type: ignore[no-any-return]

    # ---- keys and ids ----

    def data_keys(self) -> List[DataKey]:
        """The tenant's data keys."""
        return self._collect(s.VisitKey, key_of, store.key_list)

    def id_of(self, entity: str, old_id: str) -> Optional[str]:
        """What an old id is mapped to; None: it is not."""
        return self._id(store.idmap_get, entity, old_id)

    def old_id_of(self, entity: str, new_id: str) -> Optional[str]:
        """Which old id a new one is of; None: of none."""
        return self._id(store.idmap_get_old, entity, new_id)

    def _id(self, function: Any, entity: str, id: str) -> Optional[str]:
        found = ctypes.create_string_buffer(256)
        try:
            self._core.call(function, text(entity, "the entity"), text(id, "the id"), found)
        except NotFoundError:
            return None
        return found.value.decode()

    def ids(
        self, entity: Optional[str] = None, *, after: Optional[str] = None, limit: int = 0
    ) -> List[Mapping]:
        """Mappings by entity and old id; for many, page with `limit` and `after`: the last old id."""
        found: List[Mapping] = []

        def visit(struct: s.IdmapEntryStruct) -> bool:
            found.append(mapping_of(struct))
            return len(found) != limit

        arguments = optional(entity, "the entity"), optional(after, "after")
        with visiting(s.VisitMapping, visit) as function:
            self._core.call(store.idmap_visit, *arguments, function, None)
        return found


class Outcome:
    """`Client.outcome`."""

    __slots__ = ("_client", "_flag", "_variant", "_began")

    def __init__(self, client: Client, flag: str, variant: Optional[str]) -> None:
        self._client, self._flag, self._variant = client, flag, variant
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, kind: Optional[Type[BaseException]], *_: Any) -> None:
        took = time.perf_counter() - self._began
        self._client.track_outcome(self._flag, self._variant, kind is not None, took)


def _record(phase: str, subject: str) -> Tuple[bytes, bytes]:
    return text(phase, "the phase"), text(subject, "the subject")


def _list_options(
    prefix: Optional[str],
    after: Optional[str],
    after_no: int,
    limit: int,
    backwards: bool,
    payload: bool,
) -> s.ListOptionsStruct:
    return s.ListOptionsStruct(
        prefix=optional(prefix, "the prefix"),
        after=optional(after, "after"),
        after_no=number(after_no, "after_no"),
        limit=number(limit, "limit"),
        backwards=bool(backwards),
        payload=bool(payload),
    )


_PERIODS = ("all", "day", "hour")


def _track_options(
    flag: Optional[str],
    from_time: Optional[Time],
    to_time: Optional[Time],
    by: str,
    own: bool,
) -> s.TrackOptionsStruct:
    if by not in _PERIODS:
        raise ValueError("%r is no period; %s are" % (by, ", ".join(_PERIODS)))
    return s.TrackOptionsStruct(
        flag=optional(flag, "the flag"),
        from_=microseconds(from_time, "from_time"),
        to=microseconds(to_time, "to_time"),
        by=_PERIODS.index(by),
        own=bool(own),
    )


# For a client that was closed C gets NULL, and says that there is no client.
_flag_evaluate = quick_function(
    "flagver_flag_evaluate",
    ctypes.c_int,
    Converter(attrgetter("argument")),
    ctypes.c_char_p,
    ctypes.c_size_t,
    CONTEXT,  # what follows is ours, and needs no converters
)
