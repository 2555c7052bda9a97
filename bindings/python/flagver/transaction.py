"""Transactions: every write to a store happens in one, by an actor."""

from __future__ import annotations

import ctypes
import inspect
import threading
from contextlib import contextmanager
from ctypes import byref
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Iterable,
    Iterator,
    Mapping as MappingType,
    NamedTuple,
    Optional,
    Tuple,
    TypeVar,
    Union,
)

from . import _structs as s
from ._convert import (
    Json,
    Time,
    json_text,
    microseconds,
    number,
    object_text,
    optional,
    small,
    text,
)
from ._library import check, quick, raise_error, store
from .errors import ClosedError, FlagverError, NotFoundError, StateError, number_of
from .records import ITEM_STATES, Version, version_of

if TYPE_CHECKING:
    from .client import Actor, Client

T = TypeVar("T")
X = TypeVar("X", bound="Transaction")

#: For `expect`: nothing may be in force.
NOTHING = 2**32 - 1

_SUBMIT, _EMERGENCY = 1, 2
_EINVAL = -1
_ROOM = 1023  # for the words of an error


class Rotation(NamedTuple):
    """How many data keys there are, and how many lay under another key-encryption key."""

    data_keys: int
    rewrapped: int


def _write_options(
    note: Optional[str],
    expect: int,
    flags: int = 0,
    content_hash: Optional[bytes] = None,
    parent_no: int = 0,
    baseline_no: int = 0,
) -> s.WriteOptionsStruct:
    if content_hash is not None and (
        not isinstance(content_hash, bytes) or len(content_hash) != 32
    ):
        raise ValueError("a content hash is 32 bytes")
    return s.WriteOptionsStruct(
        note=optional(note, "the note"),
        expect_no=number(expect, "expect"),
        flags=flags,
        content_hash=content_hash,
        parent_no=number(parent_no, "parent_no"),
        baseline_no=number(baseline_no, "baseline_no"),
    )


def texts(values: Iterable[str], what: str) -> Any:
    """An array of texts for C, and how many they are."""
    if isinstance(values, (str, bytes)):
        raise TypeError("%s are a list of str, not one" % what)
    encoded = [text(value, what) for value in values]
    return (ctypes.c_char_p * len(encoded))(*encoded), len(encoded)


def txn_options(idempotency_key: Optional[str], timeout_ms: int) -> s.TxnOptionsStruct:
    return s.TxnOptionsStruct(
        idempotency_key=optional(idempotency_key, "the idempotency key"),
        timeout_ms=small(timeout_ms, "timeout_ms"),
    )


class Transaction:
    """All of it happens, or none of it.

    >>> with client.begin("alice") as txn:
    ...     txn.flag_ramp("report_setup", 25, note="first quarter")

    The block commits at its end, and rolls back when an exception leaves it. An operation that is
    refused (a `MistakeError`) changes nothing, and the transaction goes on; after any other error it
    has been rolled back, and its other calls repeat that error. What is made elsewhere than in a
    block is ended by `commit` or `rollback`; one that is forgotten is rolled back.

    One thread at a time, not always the same. Nothing is locked before the first operation; from
    then on other writers may have to wait, so do slow things before.

    Operations take a `note` (why; it is kept) and `expect`: the number that must be in force, or
    NOTHING; when it is not so they raise `ConflictError`.
    """

    __slots__ = ("_client", "_handle", "_borrowed", "_alone", "__weakref__")

    def __init__(self, client: "Client", handle: int, borrowed: bool = False) -> None:
        self._client = client
        self._handle: Optional[int] = handle
        self._borrowed = borrowed  # its end is somebody else's
        self._alone = threading.Lock()
        if not borrowed:
            client._core.transactions[handle] = None

    # ---- the end ----

    def commit(self) -> None:
        """Commit. The transaction has ended in any case.

        `OutcomeUnknownError`: it may have taken place or not; run it again with the same
        idempotency key.
        """
        self._refuse_borrowed()
        with self._client._core, self._one_thread():
            handle = self._use()
            try:
                check(store.txn_commit, handle)
            finally:
                self._end()

    def rollback(self) -> None:
        """Take everything back. After the end of the transaction this does nothing."""
        self._refuse_borrowed()
        core = self._client._core
        if self._handle is None or core.closed:
            self._handle = None
            return
        with core, self._one_thread():
            self._end()

    def _end(self) -> None:
        handle, self._handle = self._handle, None
        core = self._client._core
        # Whoever takes the handle out frees it: that may be the client, which is being closed.
        if handle is not None and handle in core.transactions:
            del core.transactions[handle]
            store.txn_free(handle)

    def _refuse_borrowed(self) -> None:
        if self._borrowed:
            raise ClosedError("whoever runs the transaction ends it")

    @property
    def is_open(self) -> bool:
        return self._handle is not None and not self._client._core.closed

    def __enter__(self: X) -> X:
        self._use()
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self._handle is None:
            return  # committed or rolled back inside of the block
        if kind is None:
            self.commit()
        else:
            self.rollback()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None and not self._borrowed:
            self._client._core.soon(self._forget)

    def _forget(self) -> None:
        try:
            self.rollback()
        except ClosedError:
            pass  # the client was quicker, and has rolled it back

    # ---- operations ----

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        if not self._alone.acquire(blocking=False):
            raise StateError("the transaction is in use by another thread")
        try:
            yield
        finally:
            self._alone.release()

    def _use(self) -> int:
        if self._handle is None:
            raise ClosedError("the transaction has ended")
        return self._handle

    def _call(self, function: Any, *arguments: Any) -> int:
        with self._client._core, self._one_thread():
            return check(function, self._use(), *arguments)

    def _version(self, function: Any, *arguments: Any) -> Version:
        pointer = ctypes.POINTER(s.VersionStruct)()
        self._call(function, *arguments, byref(pointer))
        try:
            return version_of(pointer.contents)
        finally:
            quick.version_free(pointer)

    def _number(self, function: Any, *arguments: Any) -> int:
        no = ctypes.c_uint32()
        self._call(function, *arguments, byref(no))
        return no.value

    def lock(self, phase: str, subjects: Iterable[str]) -> None:
        """Lock several records of one phase, in an order in which two transactions cannot wait for
        each other: before the first change, where many are changed."""
        array, count = texts(subjects, "the subjects")
        self._call(store.txn_lock, text(phase, "the phase"), array, count)

    # ---- versions ----

    def create(
        self,
        phase: str,
        subject: str,
        payload: Json,
        *,
        note: Optional[str] = None,
        expect: int = 0,
        parent_no: int = 0,
        baseline_no: int = 0,
    ) -> Version:
        """A draft, number last + 1. The payload is anything that JSON can say; bytes are JSON text."""
        options = _write_options(note, expect, 0, None, parent_no, baseline_no)
        return self._write(store.version_create, phase, subject, None, payload, options)

    def edit(
        self,
        phase: str,
        subject: str,
        no: int,
        payload: Json,
        *,
        note: Optional[str] = None,
        expect: int = 0,
    ) -> Version:
        """Other content for a draft."""
        options = _write_options(note, expect)
        return self._write(store.version_edit, phase, subject, no, payload, options)

    def put(
        self, phase: str, subject: str, payload: Json, *, note: Optional[str] = None, expect: int = 0
    ) -> Version:
        """Create and submit."""
        options = _write_options(note, expect)
        return self._write(store.version_put, phase, subject, None, payload, options)

    def record(
        self, phase: str, subject: str, payload: Json, *, note: Optional[str] = None, expect: int = 0
    ) -> Version:
        """Record, in a phase that only keeps an audit."""
        options = _write_options(note, expect)
        return self._write(store.version_record, phase, subject, None, payload, options)

    def _write(
        self,
        function: Any,
        phase: str,
        subject: str,
        no: Optional[int],
        payload: Json,
        options: s.WriteOptionsStruct,
    ) -> Version:
        encoded = json_text(payload, "the payload")
        numbers = () if no is None else (number(no, "no"),)
        return self._version(
            function,
            text(phase, "the phase"),
            text(subject, "the subject"),
            *numbers,
            encoded,
            len(encoded),
            byref(options),
        )

    def _move(
        self, function: Any, phase: str, subject: str, no: int, options: s.WriteOptionsStruct
    ) -> Version:
        return self._version(
            function,
            text(phase, "the phase"),
            text(subject, "the subject"),
            number(no, "no"),
            byref(options),
        )

    def submit(
        self, phase: str, subject: str, no: int, *, note: Optional[str] = None, expect: int = 0
    ) -> Version:
        """Hand a draft in. Where no approval is asked for it is in force at once."""
        return self._move(store.version_submit, phase, subject, no, _write_options(note, expect))

    def rebase(
        self, phase: str, subject: str, no: int, *, note: Optional[str] = None, expect: int = 0
    ) -> Version:
        """The draft is measured against what is in force now."""
        return self._move(store.version_rebase, phase, subject, no, _write_options(note, expect))

    def send_back(
        self, phase: str, subject: str, no: int, *, note: Optional[str] = None, expect: int = 0
    ) -> Version:
        """Take what was submitted back, or send it back, to be edited ("return" in C)."""
        return self._move(store.version_return, phase, subject, no, _write_options(note, expect))

    def approve(
        self,
        phase: str,
        subject: str,
        no: int,
        *,
        note: Optional[str] = None,
        expect: int = 0,
        content_hash: Optional[bytes] = None,
        submit: bool = False,
    ) -> Version:
        """Count as one of those who allow it; with `submit`, submit it first. `content_hash` is that
        of what was looked at: when the version has another, `ChangedError`."""
        options = _write_options(note, expect, _SUBMIT if submit else 0, content_hash)
        return self._move(store.version_approve, phase, subject, no, options)

    def reject(
        self,
        phase: str,
        subject: str,
        no: int,
        *,
        note: Optional[str] = None,
        expect: int = 0,
        content_hash: Optional[bytes] = None,
    ) -> Version:
        """It never comes into force."""
        options = _write_options(note, expect, 0, content_hash)
        return self._move(store.version_reject, phase, subject, no, options)

    def withdraw(
        self, phase: str, subject: str, no: int, *, note: Optional[str] = None, expect: int = 0
    ) -> Version:
        """Give it up."""
        return self._move(store.version_withdraw, phase, subject, no, _write_options(note, expect))

    def revert(
        self, phase: str, subject: str, no: int, *, note: Optional[str] = None, expect: int = 0
    ) -> Version:
        """A draft of what version `no` said, submitted where no approval is asked for."""
        return self._move(store.version_revert, phase, subject, no, _write_options(note, expect))

    def review(
        self, phase: str, subject: str, no: int, *, note: Optional[str] = None, expect: int = 0
    ) -> Version:
        """Say afterwards that an emergency was right."""
        return self._move(store.version_review, phase, subject, no, _write_options(note, expect))

    def remove(
        self, phase: str, subject: str, *, note: Optional[str] = None, expect: int = 0
    ) -> Version:
        """Put a tombstone: the record is deleted, its history stays."""
        return self._version(
            store.version_remove,
            text(phase, "the phase"),
            text(subject, "the subject"),
            byref(_write_options(note, expect)),
        )

    def shred(self, phase: str, subject: str, no: int, *, note: Optional[str] = None) -> None:
        """Forget the payload of a version for good."""
        self._call(
            store.version_shred,
            text(phase, "the phase"),
            text(subject, "the subject"),
            number(no, "no"),
            optional(note, "the note"),
        )

    def retain(
        self, phase: str, before: Time, *, prefix: Optional[str] = None, note: Optional[str] = None
    ) -> int:
        """Shred what is out of force and was created before `before`. Returns how many."""
        count = ctypes.c_uint64()
        self._call(
            store.retain,
            text(phase, "the phase"),
            optional(prefix, "the prefix"),
            microseconds(before, "before"),
            optional(note, "the note"),
            byref(count),
        )
        return count.value

    def rotate_keys(self) -> Rotation:
        """A new data key, and all of them under the first key-encryption key."""
        rotation = s.KeyRotationStruct()
        self._call(store.key_rotate, byref(rotation))
        return Rotation(rotation.data_keys, rotation.rewrapped)

    # ---- items ----

    def put_items(
        self,
        phase: str,
        subject: str,
        no: int,
        items: MappingType[str, Json],
        *,
        note: Optional[str] = None,
        expect: int = 0,
    ) -> Version:
        """Put items into a draft: JSON values by their keys."""
        array = (s.ItemContentStruct * len(items))()
        for place, (key, value) in zip(array, items.items()):
            encoded = json_text(value, key)
            place.key, place.json = text(key, "the key of an item"), encoded
            place.length = len(encoded)
        options = _write_options(note, expect)
        return self._items(store.items_put, phase, subject, no, array, len(items), options)

    def remove_items(
        self,
        phase: str,
        subject: str,
        no: int,
        keys: Iterable[str],
        *,
        note: Optional[str] = None,
        expect: int = 0,
    ) -> Version:
        """Take items out of a draft."""
        array, count = texts(keys, "the keys of items")
        options = _write_options(note, expect)
        return self._items(store.items_remove, phase, subject, no, array, count, options)

    def decide_items(
        self,
        phase: str,
        subject: str,
        no: int,
        keys: Iterable[str],
        status: str,
        *,
        note: Optional[str] = None,
        expect: int = 0,
        content_hash: Optional[bytes] = None,
    ) -> Version:
        """Decide items of what was submitted: "approved", "rejected", or "pending" to take it back."""
        if status not in ITEM_STATES:
            raise ValueError("%r is no status; %s are" % (status, ", ".join(ITEM_STATES)))
        array, count = texts(keys, "the keys of items")
        options = _write_options(note, expect, 0, content_hash)
        return self._items(
            store.items_decide, phase, subject, no, array, count, options, ITEM_STATES.index(status)
        )

    def _items(
        self,
        function: Any,
        phase: str,
        subject: str,
        no: int,
        array: Any,
        count: int,
        options: s.WriteOptionsStruct,
        *status: int,
    ) -> Version:
        return self._version(
            function,
            text(phase, "the phase"),
            text(subject, "the subject"),
            number(no, "no"),
            array,
            count,
            *status,
            byref(options),
        )

    # ---- policies and assignments ----

    def put_policy(
        self, phase: str, policy: Json, *, note: Optional[str] = None, expect: int = 0
    ) -> Version:
        """Who may do what in a phase, or in "phase/prefix": a record of the phase "flagver.phase"."""
        return self.put("flagver.phase", phase, policy, note=note, expect=expect)

    def assign(
        self, role: str, subject: str, user: str, *, note: Optional[str] = None, expect: int = 0
    ) -> int:
        """Give a user a role for subjects, of which a part may be "*"."""
        return self._assign(store.assign, role, subject, user, note, expect)

    def unassign(
        self, role: str, subject: str, user: str, *, note: Optional[str] = None, expect: int = 0
    ) -> int:
        """Take it away."""
        return self._assign(store.unassign, role, subject, user, note, expect)

    def _assign(
        self, function: Any, role: str, subject: str, user: str, note: Optional[str], expect: int
    ) -> int:
        return self._number(
            function,
            text(role, "the role"),
            text(subject, "the subject"),
            text(user, "the user"),
            byref(_write_options(note, expect)),
        )

    # ---- flags and segments; all return the number of the new version ----

    def _flag(
        self, function: Any, key: str, *arguments: Any, note: Optional[str], expect: int, flags: int = 0
    ) -> int:
        options = _write_options(note, expect, flags)
        return self._number(function, text(key, "the key"), *arguments, byref(options))

    def flag_put(
        self, key: str, definition: Json, *, note: Optional[str] = None, expect: int = 0
    ) -> int:
        """Create or replace a flag by this definition (docs/flags.md)."""
        encoded = object_text(definition, "the definition")
        return self._flag(
            store.flag_put, key, encoded, len(encoded), note=note, expect=expect
        )

    def segment_put(
        self, name: str, definition: Json, *, note: Optional[str] = None, expect: int = 0
    ) -> int:
        encoded = object_text(definition, "the definition")
        return self._flag(
            store.segment_put, name, encoded, len(encoded), note=note, expect=expect
        )

    def flag_enable(self, key: str, *, note: Optional[str] = None, expect: int = 0) -> int:
        return self._flag(store.flag_enable, key, note=note, expect=expect)

    def flag_disable(
        self, key: str, *, note: Optional[str] = None, expect: int = 0, emergency: bool = False
    ) -> int:
        """Switch a flag off. `emergency`: at once, by an actor whom the policy names, with a note."""
        flags = _EMERGENCY if emergency else 0
        return self._flag(store.flag_disable, key, note=note, expect=expect, flags=flags)

    def flag_ramp(
        self,
        key: str,
        percentage: float,
        *,
        note: Optional[str] = None,
        expect: int = 0,
        emergency: bool = False,
    ) -> int:
        """Give a boolean flag this percentage, 0 to 100 with at most three decimals."""
        flags = _EMERGENCY if emergency else 0
        return self._flag(
            store.flag_ramp, key, float(percentage), note=note, expect=expect, flags=flags
        )

    def flag_release(self, key: str, *, note: Optional[str] = None, expect: int = 0) -> int:
        """Everybody has it: 100 percent, no beta list, enabled."""
        return self._flag(store.flag_release, key, note=note, expect=expect)

    def flag_beta_add(
        self, key: str, users: Iterable[str], *, note: Optional[str] = None, expect: int = 0
    ) -> int:
        array, count = texts(users, "the users")
        return self._flag(store.flag_beta_add, key, array, count, note=note, expect=expect)

    def flag_beta_remove(
        self, key: str, users: Iterable[str], *, note: Optional[str] = None, expect: int = 0
    ) -> int:
        array, count = texts(users, "the users")
        return self._flag(store.flag_beta_remove, key, array, count, note=note, expect=expect)

    def flag_schedule(
        self, key: str, schedule: Json, *, note: Optional[str] = None, expect: int = 0
    ) -> int:
        """Give a flag this schedule, as in a definition; None takes it away."""
        encoded = None if schedule is None else object_text(schedule, "the schedule")
        length = 0 if encoded is None else len(encoded)
        return self._flag(store.flag_schedule, key, encoded, length, note=note, expect=expect)

    def flag_revert(
        self, key: str, no: int, *, note: Optional[str] = None, expect: int = 0
    ) -> int:
        """Put what version `no` said."""
        return self._flag(store.flag_revert, key, number(no, "no"), note=note, expect=expect)

    def segment_revert(
        self, name: str, no: int, *, note: Optional[str] = None, expect: int = 0
    ) -> int:
        return self._flag(store.segment_revert, name, number(no, "no"), note=note, expect=expect)

    def flag_delete(self, key: str, *, note: Optional[str] = None, expect: int = 0) -> int:
        return self._flag(store.flag_delete, key, note=note, expect=expect)

    def segment_delete(self, name: str, *, note: Optional[str] = None, expect: int = 0) -> int:
        return self._flag(store.segment_delete, name, note=note, expect=expect)

    def apply(
        self,
        definitions: Json,
        *,
        name: Optional[str] = None,
        prune: bool = False,
        note: Optional[str] = None,
    ) -> int:
        """Make the store like a definitions file, all or nothing. Returns the number of steps."""
        encoded = object_text(definitions, "definitions")
        return self._call(
            store.flags_apply,
            encoded,
            len(encoded),
            optional(name, "the name"),
            bool(prune),
            byref(_write_options(note, 0)),
        )

    # ---- the id map ----

    def map_id(self, entity: str, old_id: str, new_id: str) -> None:
        """Map an old id to a new one. `ExistsError`: one of them is mapped to another one."""
        self._call(store.idmap_put, *_ids(entity, old_id), text(new_id, "the new id"))

    def map_ids(self, entity: str, pairs: Iterable[Tuple[str, str]]) -> None:
        """Map many, (old id, new id) each: all of them or none."""
        rows = [_ids(entity, old) + (text(new, "the new id"),) for old, new in pairs]
        array = (s.IdmapEntryStruct * len(rows))(*rows)
        self._call(store.idmap_put_many, array, len(rows), None)

    def new_id(self, entity: str, old_id: str, new_id: Optional[str] = None) -> str:
        """What the old id is mapped to; where it is not, it is mapped now, to `new_id` or a UUID."""
        found = ctypes.create_string_buffer(256)
        self._call(store.idmap_new, *_ids(entity, old_id), optional(new_id, "the new id"), found)
        return found.value.decode()

    def unmap_id(self, entity: str, old_id: str) -> None:
        """Forget a mapping."""
        self._call(store.idmap_remove, *_ids(entity, old_id))

    def id_of(self, entity: str, old_id: str) -> Optional[str]:
        """What an old id is mapped to, as seen in this transaction; None: it is not."""
        return self._id(store.idmap_get_in, entity, old_id)

    def old_id_of(self, entity: str, new_id: str) -> Optional[str]:
        """Which old id a new one is of."""
        return self._id(store.idmap_get_old_in, entity, new_id)

    def _id(self, function: Any, entity: str, id: str) -> Optional[str]:
        found = ctypes.create_string_buffer(256)
        try:
            self._call(function, *_ids(entity, id), found)
        except NotFoundError:
            return None
        return found.value.decode()


def _ids(entity: str, id: str) -> Tuple[bytes, bytes]:
    return text(entity, "the entity"), text(id, "the id")


def run(
    client: "Client",
    actor: "Union[str, Actor]",
    do: Callable[[Transaction], T],
    idempotency_key: Optional[str],
    timeout_ms: int,
) -> T:
    """flagver_txn_run(): `do` in a transaction, and both again after errors of class RETRY."""
    from .client import actor_struct

    result: Any = None
    failure: Optional[BaseException] = None

    def called(_: Any, handle: int, pointer: Any) -> int:
        nonlocal result, failure
        txn = Transaction(client, handle, borrowed=True)
        failure = None
        try:
            result = do(txn)
            if inspect.iscoroutine(result) or inspect.isgenerator(result):
                result.close()
                raise TypeError("transact() takes an ordinary function: nothing of this one has run")
            return 0
        except BaseException as error:
            failure = error
            error_to(pointer.contents, number_of(error, _EINVAL), error)
        finally:
            with txn._alone:  # another thread may be inside, for whom the end has to wait
                txn._handle = None
        return int(pointer.contents.code)

    error = s.ErrorStruct()
    with client._core as core:
        code = store.txn_run(
            core.handle,
            byref(actor_struct(actor)),
            byref(txn_options(idempotency_key, timeout_ms)),
            s.RunFunction(called),
            None,
            byref(error),
        )
    if failure is not None:
        try:
            raise failure
        finally:
            failure = None  # it refers to this frame
    if code < 0:
        raise_error(code, error)
    return result  # type: ignore[no-any-return]


def error_to(struct: s.ErrorStruct, code: int, failure: BaseException, where: str = "") -> None:
    """An exception for C: one line that fits, cut off between characters."""
    try:
        message = str(failure)
    except Exception:
        message = "it has no words"
    if not isinstance(failure, FlagverError):
        message = "%s%s: %s" % (where and where + ": ", type(failure).__name__, message)
    encoded = " ".join(message.split()).encode("utf-8", "replace").replace(b"\0", b"?")[:_ROOM]
    struct.code = code
    struct.message = encoded.decode("utf-8", "ignore").encode()
