"""A client's handle, and who is using it.

A handle that is closed while another thread is inside of a call on it takes the process down. So
every call that may wait goes through `Core.call`, which counts; closing waits for the count to
fall. Evaluations are not counted: from where they look at the handle, in a converter of arguments, to
their end they keep Python's global lock, so nobody closes meanwhile. Where they call back into
Python that is no longer true, and they are counted.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import threading
import weakref
from typing import Any, Callable, Dict, List, Optional, TypeVar

from . import _structs as s
from ._library import check, store
from .errors import BusyError, ClosedError, StateError

log = logging.getLogger("flagver")


def report(what: str) -> None:
    """An exception in a callback: it cannot go through C, so it is logged."""
    log.error("%s raised an exception", what, exc_info=True)


#: Seconds that the end of the interpreter waits for daemon threads that are inside of a call.
_PATIENCE = 5.0

G = TypeVar("G", bound="Gate")


class Gate:
    """Who is inside of a handle: of a call on it, or of a callback that it makes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False
        self.reset({}, {})

    def reset(self, calls: Dict[int, int], callbacks: Dict[int, int]) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._calls = calls  # thread: how deep
        self._callbacks = callbacks

    def _up(self, depths: Dict[int, int], me: int) -> None:
        depths[me] = depths.get(me, 0) + 1

    def _down(self, depths: Dict[int, int], me: int) -> None:
        depth = depths.get(me, 1) - 1
        if depth:
            depths[me] = depth
            return
        depths.pop(me, None)
        self._changed.notify_all()

    def __enter__(self: G) -> G:
        me = threading.get_ident()
        with self._changed:
            # What is done inside of a call, while others wait to close, is a part of it.
            if self.closed and me not in self._calls:
                raise ClosedError("the %s is closed" % self.name)
            self._up(self._calls, me)
        return self

    def __exit__(self, *_: Any) -> None:
        with self._changed:
            self._down(self._calls, threading.get_ident())

    def enter_callback(self) -> None:
        """C may call until the handle is closed."""
        with self._changed:
            self._up(self._callbacks, threading.get_ident())

    def leave_callback(self) -> None:
        with self._changed:
            self._down(self._callbacks, threading.get_ident())

    def is_inside(self) -> bool:
        """Is this thread inside?"""
        me = threading.get_ident()
        with self._changed:
            return me in self._calls or me in self._callbacks

    def is_in_callback(self) -> bool:
        with self._changed:
            return threading.get_ident() in self._callbacks

    def shut(self, patience: Optional[float] = None) -> None:
        """No more calls; waits for those under way, so many seconds."""
        with self._changed:
            if self.is_inside():
                raise StateError("a %s cannot be closed inside of a call on it" % self.name)
            self.closed = True
            if not self._changed.wait_for(lambda: not self._calls, patience):
                raise BusyError("a call on the %s has not returned" % self.name)

    def after_fork(self) -> None:
        """In the child nobody else is inside, whatever the parent's threads were doing."""
        me = threading.get_ident()
        self.reset(
            {me: self._calls[me]} if me in self._calls else {},
            {me: self._callbacks[me]} if me in self._callbacks else {},
        )


class Core(Gate):
    """The handle of one client, shared by the client and all that was made of it."""

    def __init__(self, handle: int) -> None:
        super().__init__("client")
        self.handle: Optional[int] = handle
        # The same for converters of arguments, where an int would be cut to 32 bits.
        self.argument = ctypes.byref(s.Opaque.from_address(handle))
        self.guarded = False  # evaluations call back, and so are counted
        self.kept: List[Any] = []  # callbacks that C may call until the client is closed
        self.listeners: Dict[int, Any] = {}  # the same, until they are taken off
        self.at_close: List[Callable[[], None]] = []  # makes evaluations fail, before all else
        self.transactions: Dict[int, None] = {}  # handles that are to be freed
        self.routes: Dict[int, Any] = {}
        self._closer: Optional[int] = None  # the thread that closes
        self._finished = False
        _open.add(self)

    def call(self, function: Any, *arguments: Any) -> int:
        """Calls a function on the client; raises its error."""
        with self:
            return check(function, self.handle, *arguments)

    # ---- the end ----

    def close(self, patience: Optional[float] = None) -> None:
        if not self._begin_closing(patience):
            return
        try:
            for stop in self.at_close:
                stop()
            while self.transactions:  # before routes, which end with transactions of their own
                store.txn_free(self.transactions.popitem()[0])
            for route in list(self.routes.values()):
                route.close_with_client()
            handle, self.handle, self.argument = self.handle, None, None
            if self.routes:  # one that would not close goes on using the client: then both stay
                _stuck.append(self)
                return
            store.close(handle)
            self.kept.clear()
            self.listeners.clear()
        finally:
            _open.discard(self)
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def _begin_closing(self, patience: Optional[float]) -> bool:
        """False: another thread has closed it."""
        for route in list(self.routes.values()):
            if route.is_inside():
                raise StateError("a client cannot be closed inside of a call on its routes")
        with self._changed:
            if self.is_inside():
                raise StateError("a client cannot be closed inside of a call on it")
            if self._closer is not None:
                while not self._finished and self._closer != threading.get_ident():
                    self._changed.wait()
                return False
            self._closer = threading.get_ident()
        try:
            self.shut(patience)
        except BaseException:
            self._closer = None  # it was interrupted, and can be tried again
            raise
        return True

    def after_fork(self) -> None:
        super().after_fork()
        if not self._finished:
            self._closer = None  # it was a thread of the parent's
        for route in self.routes.values():
            route.after_fork()

    def drop(self) -> None:
        """The same for a client that was forgotten."""
        if not self.closed:
            self.soon(self.drop_now)

    def soon(self, end: Callable[[], None]) -> None:
        """Ends something that was forgotten. Garbage is collected anywhere, inside of a callback of
        this very client, too, where locks may be held and whose end closing would wait for: then
        another thread does it."""
        if self.is_inside() or any(route.is_inside() for route in list(self.routes.values())):
            threading.Thread(target=end, name="flagver-close", daemon=True).start()
        else:
            end()

    def drop_now(self, patience: Optional[float] = None) -> None:
        try:
            self.close(patience)
        except Exception:
            report("closing a client that was forgotten")


_open: "weakref.WeakSet[Core]" = weakref.WeakSet()
_stuck: List[Core] = []


class Holder:
    """Leads callbacks to the core, which does not exist yet while the client is being opened; and to
    those of tenants, which are called by what their parent was given. C does not say for whom it
    calls: it counts as inside of all of them."""

    def __init__(self) -> None:
        self._cores: "weakref.WeakSet[Core]" = weakref.WeakSet()

    def lead(self, core: Core) -> None:
        self._cores = weakref.WeakSet([*self._cores, core])

    def wrap(self, what: str, run: Callable[..., Any], otherwise: Any) -> Callable[..., Any]:
        """A function that C may call: it counts as inside of the client, and never raises."""

        def called(*arguments: Any) -> Any:
            cores = list(self._cores)
            for core in cores:
                core.enter_callback()
            try:
                return run(*arguments)
            except BaseException:
                report(what)
                return otherwise
            finally:
                for core in cores:
                    core.leave_callback()

        return called


def _close_all() -> None:
    """Before the interpreter ends: afterwards no callback may come from threads of the library."""
    for core in list(_open):
        core.drop_now(_PATIENCE)


def _after_fork() -> None:
    for core in list(_open):
        core.after_fork()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)
