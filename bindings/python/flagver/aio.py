"""The client for event loops: what may wait is awaited, and runs on threads of its own.

    async with await flagver.aio.open("sqlite:flagver.db") as client:
        if client.boolean("report_setup", user, False):        # never waits: no await
            ...
        version = await client.current("scoping", "report-12")
        async with client.begin("alice") as txn:
            await txn.flag_ramp("report_setup", 25)

Transactions queue up, first come first served, without holding a thread while they wait: so whoever
has begun always finds one to commit with, however many others wait.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, AsyncIterator, Awaitable, Callable, List, Optional, TypeVar, Union

from . import client as sync
from ._core import report
from .context import Context
from .errors import ClosedError
from .evaluation import Detail, Flag
from .routing import Route as SyncRoute
from .transaction import Transaction as SyncTransaction

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")

T = TypeVar("T")
C = TypeVar("C", bound="Client")
R = TypeVar("R", bound="Route")
X = TypeVar("X", bound="Transaction")


def _awaited(
    method: "Callable[Concatenate[Any, P], T]",
) -> "Callable[Concatenate[Any, P], Awaitable[T]]":
    """A method that waits, as one that is awaited."""

    @functools.wraps(method)
    async def call(self: Any, *arguments: Any, **named: Any) -> T:
        return await self._run(functools.partial(method, self.sync, *arguments, **named))

    return call


async def open(uri: str, *, threads: int = 4, writers: int = 1, **options: Any) -> "Client":
    """Open a client, as `flagver.Client`.

    threads  so many calls that wait may be under way at once; the others queue up
    writers  so many transactions may be open at once: more than 1 makes sense where the database
             lets several write, as PostgreSQL does
    """
    loop = asyncio.get_running_loop()
    running = loop.run_in_executor(None, functools.partial(sync.Client, uri, **options))
    opened = await _made(running, sync.Client.close)
    return Client(opened, threads=threads, writers=writers)


class Client:
    """A `flagver.Client` (`sync`) for one event loop: `aio.open`, or of one that is open."""

    def __init__(self, client: sync.Client, *, threads: int = 4, writers: int = 1) -> None:
        self.sync = client
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(threads, "flagver-aio")
        # Apart from the others: one for each transaction that may be open.
        self._writers = ThreadPoolExecutor(writers, "flagver-aio-txn")
        self._turn = asyncio.Semaphore(writers)

    def _start(self, threads: ThreadPoolExecutor, do: Callable[[], T]) -> "asyncio.Future[T]":
        if self.sync.closed:
            raise ClosedError("the client is closed")
        return self._loop.run_in_executor(threads, do)

    async def _run(self, do: Callable[[], T]) -> T:
        return await self._start(self._threads, do)

    async def _make(self, make: Callable[[], T], end: Callable[[T], Any]) -> T:
        return await _made(self._start(self._threads, make), end)

    async def close(self) -> None:
        """Close; waits for what is under way."""
        await self._loop.run_in_executor(None, self.sync.close)
        self._threads.shutdown(wait=False)
        self._writers.shutdown(wait=False)

    async def __aenter__(self: C) -> C:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    # ---- what never waits ----

    def bind(self, key: str) -> Flag:
        """A handle of a flag; its calls never wait."""
        return self.sync.bind(key)

    def boolean(self, key: str, context: Optional[Context], default: bool) -> bool:
        return self.sync.boolean(key, context, default)

    def integer(self, key: str, context: Optional[Context], default: int) -> int:
        return self.sync.integer(key, context, default)

    def double(self, key: str, context: Optional[Context], default: float) -> float:
        return self.sync.double(key, context, default)

    def string(self, key: str, context: Optional[Context], default: Any) -> Any:
        return self.sync.string(key, context, default)

    def json(self, key: str, context: Optional[Context], default: Any) -> Any:
        return self.sync.json(key, context, default)

    def evaluate(
        self,
        key: str,
        context: Optional[Context] = None,
        type: Optional[str] = None,
        default: Any = None,
    ) -> Detail:
        return self.sync.evaluate(key, context, type, default)

    def boolean_detail(self, key: str, context: Optional[Context], default: bool) -> Detail:
        return self.sync.boolean_detail(key, context, default)

    def string_detail(self, key: str, context: Optional[Context], default: str) -> Detail:
        return self.sync.string_detail(key, context, default)

    def integer_detail(self, key: str, context: Optional[Context], default: int) -> Detail:
        return self.sync.integer_detail(key, context, default)

    def double_detail(self, key: str, context: Optional[Context], default: float) -> Detail:
        return self.sync.double_detail(key, context, default)

    def json_detail(self, key: str, context: Optional[Context], default: Any) -> Detail:
        return self.sync.json_detail(key, context, default)

    def track(self, event: str, context: Optional[Context] = None, value: float = 1.0) -> None:
        self.sync.track(event, context, value)

    def track_outcome(
        self, flag: str, variant: Optional[str], failed: bool, seconds: Optional[float] = None
    ) -> None:
        self.sync.track_outcome(flag, variant, failed, seconds)

    def outcome(self, flag: str, variant: Optional[str]) -> sync.Outcome:
        """``with client.outcome(…):`` around what may be awaited."""
        return self.sync.outcome(flag, variant)

    async def changes(self) -> AsyncIterator[List[str]]:
        """The keys of flags that have changed, as they do: ``async for keys in client.changes()``."""
        queue: "asyncio.Queue[List[str]]" = asyncio.Queue()

        def changed(keys: List[str]) -> None:
            try:
                self._loop.call_soon_threadsafe(queue.put_nowait, keys)
            except RuntimeError:
                pass  # the loop has ended; nobody hears of it any more

        listener = await self._make(lambda: self.sync.listen(changed), self.sync.unlisten)
        try:
            while True:
                yield await queue.get()
        finally:
            if not self.sync.closed:
                await asyncio.shield(self._run(lambda: self.sync.unlisten(listener)))

    # ---- what may wait ----

    refresh = _awaited(sync.Client.refresh)
    load = _awaited(sync.Client.load)
    merge = _awaited(sync.Client.merge)
    override = _awaited(sync.Client.override)
    reopen = _awaited(sync.Client.reopen)
    health = _awaited(sync.Client.health)
    counts = _awaited(sync.Client.counts)
    snapshot_at = _awaited(sync.Client.snapshot_at)
    current = _awaited(sync.Client.current)
    version = _awaited(sync.Client.version)
    as_of = _awaited(sync.Client.as_of)
    by_id = _awaited(sync.Client.by_id)
    history = _awaited(sync.Client.history)
    versions = _awaited(sync.Client.versions)
    due = _awaited(sync.Client.due)
    items = _awaited(sync.Client.items)
    votes = _awaited(sync.Client.votes)
    authors = _awaited(sync.Client.authors)
    diff = _awaited(sync.Client.diff)
    merge_patch = _awaited(sync.Client.merge_patch)
    policy = _awaited(sync.Client.policy)
    metrics = _awaited(sync.Client.metrics)
    plan = _awaited(sync.Client.plan)
    export_flags = _awaited(sync.Client.export_flags)
    guard = _awaited(sync.Client.guard)
    flush_tracked = _awaited(sync.Client.flush_tracked)
    tracked = _awaited(sync.Client.tracked)
    openmetrics = _awaited(sync.Client.openmetrics)
    forget_tracked = _awaited(sync.Client.forget_tracked)
    audit_log = _awaited(sync.Client.audit_log)
    audit_head = _awaited(sync.Client.audit_head)
    checkpoint = _awaited(sync.Client.checkpoint)
    prove_inclusion = _awaited(sync.Client.prove_inclusion)
    prove_consistency = _awaited(sync.Client.prove_consistency)
    verify = _awaited(sync.Client.verify)
    data_keys = _awaited(sync.Client.data_keys)
    id_of = _awaited(sync.Client.id_of)
    old_id_of = _awaited(sync.Client.old_id_of)
    ids = _awaited(sync.Client.ids)
    migration_stage = _awaited(sync.Client.migration_stage)
    migration_rollback = _awaited(sync.Client.migration_rollback)
    migration_status = _awaited(sync.Client.migration_status)

    async def route(self, migration: Optional[str], old: Any, new: Any, **options: Any) -> "Route":
        """Open a route. Its sides are ordinary functions, called on other threads than the loop's."""
        make = functools.partial(self.sync.route, migration, old, new, **options)
        return Route(self, await self._make(make, SyncRoute.close))

    # ---- writing ----

    def begin(
        self, actor: Union[str, sync.Actor], **options: Any
    ) -> "Transaction":
        """A transaction: ``async with client.begin("alice") as txn:``. It begins when it is its turn."""
        return Transaction(self, lambda: self.sync.begin(actor, **options))

    async def transact(
        self, actor: Union[str, sync.Actor], do: Callable[[SyncTransaction], T], **options: Any
    ) -> T:
        """As `flagver.Client.transact`. `do` is an ordinary function, and runs on another thread."""
        async with self._turn:
            return await _finished(
                self._start(self._writers, lambda: self.sync.transact(actor, do, **options))
            )


async def _made(running: "asyncio.Future[T]", end: Callable[[T], Any]) -> T:
    """What a thread makes. Whoever is cancelled does not get it: it is ended then."""
    loop = asyncio.get_running_loop()

    def made(_: Any) -> None:
        if not running.cancelled() and running.exception() is None:
            loop.run_in_executor(None, _ended, end, running.result())

    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        running.add_done_callback(made)
        raise


def _ended(end: Callable[[T], Any], made: T) -> None:
    try:
        end(made)
    except ClosedError:
        pass  # together with its client
    except Exception:
        report("ending what nobody waits for any more")


async def _finished(running: "asyncio.Future[T]") -> T:
    """What a thread does cannot be taken back: whoever is cancelled waits for its end."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if not running.done():
            await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # nobody else looks at it
        raise


class Transaction:
    """A `flagver.Transaction`, whose operations are awaited, one after the other."""

    def __init__(self, client: Client, begin: Callable[[], SyncTransaction]) -> None:
        self._client = client
        self._begin = begin
        self.sync: Any = None
        self._alone = threading.Lock()  # what was cancelled may still be under way
        self._given_up = False

    async def _run(self, do: Callable[[], T]) -> T:
        def alone() -> T:
            with self._alone:
                return do()

        client = self._client
        return await _finished(client._start(client._writers, alone))

    async def __aenter__(self: X) -> X:
        turn = self._client._turn
        await turn.acquire()
        try:
            await self._run(self._begin_now)
        except BaseException:
            # It may have begun all the same, or be about to.
            self._client._loop.run_in_executor(None, self._give_up)
            turn.release()
            raise
        return self

    def _begin_now(self) -> None:
        if not self._given_up:
            self.sync = self._begin()

    def _give_up(self) -> None:
        with self._alone:
            self._given_up = True
            if self.sync is not None:
                _ended(SyncTransaction.rollback, self.sync)

    async def __aexit__(self, kind: Any, *_: Any) -> None:
        try:
            if self.sync.is_open:  # else it has been ended, perhaps together with its client
                await self._run(self.sync.commit if kind is None else self.sync.rollback)
        finally:
            self._client._turn.release()

    rollback = _awaited(SyncTransaction.rollback)
    commit = _awaited(SyncTransaction.commit)
    lock = _awaited(SyncTransaction.lock)
    create = _awaited(SyncTransaction.create)
    edit = _awaited(SyncTransaction.edit)
    put = _awaited(SyncTransaction.put)
    record = _awaited(SyncTransaction.record)
    submit = _awaited(SyncTransaction.submit)
    rebase = _awaited(SyncTransaction.rebase)
    send_back = _awaited(SyncTransaction.send_back)
    approve = _awaited(SyncTransaction.approve)
    reject = _awaited(SyncTransaction.reject)
    withdraw = _awaited(SyncTransaction.withdraw)
    revert = _awaited(SyncTransaction.revert)
    review = _awaited(SyncTransaction.review)
    remove = _awaited(SyncTransaction.remove)
    shred = _awaited(SyncTransaction.shred)
    retain = _awaited(SyncTransaction.retain)
    rotate_keys = _awaited(SyncTransaction.rotate_keys)
    put_items = _awaited(SyncTransaction.put_items)
    remove_items = _awaited(SyncTransaction.remove_items)
    decide_items = _awaited(SyncTransaction.decide_items)
    put_policy = _awaited(SyncTransaction.put_policy)
    assign = _awaited(SyncTransaction.assign)
    unassign = _awaited(SyncTransaction.unassign)
    flag_put = _awaited(SyncTransaction.flag_put)
    segment_put = _awaited(SyncTransaction.segment_put)
    flag_enable = _awaited(SyncTransaction.flag_enable)
    flag_disable = _awaited(SyncTransaction.flag_disable)
    flag_ramp = _awaited(SyncTransaction.flag_ramp)
    flag_release = _awaited(SyncTransaction.flag_release)
    flag_beta_add = _awaited(SyncTransaction.flag_beta_add)
    flag_beta_remove = _awaited(SyncTransaction.flag_beta_remove)
    flag_schedule = _awaited(SyncTransaction.flag_schedule)
    flag_revert = _awaited(SyncTransaction.flag_revert)
    segment_revert = _awaited(SyncTransaction.segment_revert)
    flag_delete = _awaited(SyncTransaction.flag_delete)
    segment_delete = _awaited(SyncTransaction.segment_delete)
    apply = _awaited(SyncTransaction.apply)
    map_id = _awaited(SyncTransaction.map_id)
    map_ids = _awaited(SyncTransaction.map_ids)
    new_id = _awaited(SyncTransaction.new_id)
    unmap_id = _awaited(SyncTransaction.unmap_id)
    id_of = _awaited(SyncTransaction.id_of)
    old_id_of = _awaited(SyncTransaction.old_id_of)


class Route:
    """A `flagver.Route` whose operations are awaited."""

    def __init__(self, client: Client, route: SyncRoute) -> None:
        self._client = client
        self.sync = route

    async def _run(self, do: Callable[[], T]) -> T:
        return await self._client._run(do)

    async def __aenter__(self: R) -> R:
        return self

    async def __aexit__(self, *_: Any) -> None:
        if not self.sync.closed:  # else its client has closed it
            await self.close()

    close = _awaited(SyncRoute.close)
    read = _awaited(SyncRoute.read)
    write = _awaited(SyncRoute.write)
    remove = _awaited(SyncRoute.remove)
    stage = _awaited(SyncRoute.stage)
    rollback = _awaited(SyncRoute.rollback)
    step = _awaited(SyncRoute.step)
    status = _awaited(SyncRoute.status)
    verify = _awaited(SyncRoute.verify)
