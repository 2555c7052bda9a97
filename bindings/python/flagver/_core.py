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
from typing import Any, Callable, Dict, List, Optional

from . import _structs as s
from ._library import check, store
from .errors import ClosedError, StateError

log = logging.getLogger("flagver")


def report(what: str) -> None:
    """An exception in a callback: it cannot go through C, so it is logged."""
    log.error("%s raised an exception", what, exc_info=True)


class Core:
    """The handle of one client, shared by the client and all that was made of it."""

    def __init__(self, handle: int) -> None:
        self.handle: Optional[int] = handle
        # The same for converters of arguments, where an int would be cut to 32 bits.
        self.argument = ctypes.byref(s.Opaque.from_address(handle))
        self.closed = False
        self._finished = False
        self.guarded = False  # evaluations call back, and so are counted
        self.kept: List[Any] = []  # callbacks that C may call until the client is closed
        self.at_close: List[Callable[[], None]] = []  # makes evaluations fail, before all else
        self.transactions: Dict[int, None] = {}  # handles that are to be freed
        self.routes: Dict[int, Any] = {}
        self._reset()
        _open.add(self)

    def _reset(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._inside: Dict[int, int] = {}  # thread: how deep

    # ---- calls ----

    def enter(self) -> None:
        me = threading.get_ident()
        with self._changed:
            # What a callback does while others wait to close is a part of the call around it.
            if self.closed and me not in self._inside:
                raise ClosedError("the client is closed")
            self._inside[me] = self._inside.get(me, 0) + 1

    def enter_callback(self) -> None:
        """The same for C, which may call until the handle is closed."""
        me = threading.get_ident()
        with self._changed:
            self._inside[me] = self._inside.get(me, 0) + 1

    def leave(self) -> None:
        me = threading.get_ident()
        with self._changed:
            depth = self._inside.get(me, 1) - 1
            if depth:
                self._inside[me] = depth
            else:
                self._inside.pop(me, None)
                self._changed.notify_all()

    def __enter__(self) -> "Core":
        self.enter()
        return self

    def __exit__(self, *_: Any) -> None:
        self.leave()

    def call(self, function: Any, *arguments: Any) -> int:
        """Calls a function on the client; raises its error."""
        self.enter()
        try:
            return check(function, self.handle, *arguments)
        finally:
            self.leave()

    # ---- the end ----

    def close(self) -> None:
        with self._changed:
            if threading.get_ident() in self._inside:
                raise StateError("a client cannot be closed inside of a call on it")
            if self.closed:
                while not self._finished:  # another thread is closing it
                    self._changed.wait()
                return
            for route in list(self.routes.values()):
                if route.is_busy():
                    raise StateError("a client cannot be closed inside of a call on its routes")
            self.closed = True
            while self._inside:
                self._changed.wait()
        for stop in self.at_close:
            stop()
        for route in list(self.routes.values()):
            route.close_with_client()
        while self.transactions:
            store.txn_free(self.transactions.popitem()[0])
        handle, self.handle, self.argument = self.handle, None, None
        if not self.routes:  # one that would not close goes on using the client: then it stays
            store.close(handle)
            self.kept.clear()
        _open.discard(self)
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def drop(self) -> None:
        """The same for a client that was forgotten."""
        if not self.closed:
            self.soon(self._drop_now)

    def soon(self, end: Callable[[], None]) -> None:
        """Ends something that was forgotten. Garbage is collected anywhere, inside of a callback of
        this very client, too, where locks may be held and whose end closing would wait for: then
        another thread does it."""
        inside = threading.get_ident() in self._inside or any(
            route.is_busy() for route in self.routes.values()
        )
        if inside:
            threading.Thread(target=end, name="flagver-close", daemon=True).start()
        else:
            end()

    def _drop_now(self) -> None:
        try:
            self.close()
        except Exception:
            report("closing a client that was forgotten")


_open: "weakref.WeakSet[Core]" = weakref.WeakSet()


class Holder:
    """Leads callbacks to the core, which does not exist yet while the client is being opened."""

    core: Optional[Core] = None

    def wrap(self, what: str, run: Callable[..., Any], otherwise: Any) -> Callable[..., Any]:
        """A function that C may call: it counts as inside of the client, and never raises."""

        def called(*arguments: Any) -> Any:
            core = self.core
            if core is not None:
                core.enter_callback()
            try:
                return run(*arguments)
            except BaseException:
                report(what)
                return otherwise
            finally:
                if core is not None:
                    core.leave()

        return called


def _close_all() -> None:
    """Before the interpreter ends: afterwards no callback may come from threads of the library."""
    for core in list(_open):
        core._drop_now()


def _after_fork() -> None:
    """In the child: nobody else is inside of anything, whatever the parent's threads were doing."""
    for core in list(_open):
        me = threading.get_ident()
        depth = core._inside.get(me, 0)
        core._reset()
        if depth:
            core._inside[me] = depth
        for route in core.routes.values():
            route.after_fork()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)
