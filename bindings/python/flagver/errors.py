"""Errors: one class for each code of the library, below one for each of its classes.

What a program can do about an error is said by its class, without knowing more:

* :class:`MistakeError`: the call or its input is wrong; the same call fails again
* :class:`RetryError`: nothing happened; the same call may succeed later
* :class:`OutcomeUnknownError`: it is not known whether the change took place
* :class:`BrokenError`: the handle can only be closed (after a fork: reopened)

Arguments of wrong types and out of range are a TypeError and a ValueError, and no call is made. Bound
flags raise :class:`ArgumentError` in place of them, which is that of ctypes and no TypeError: their
getters are foreign functions themselves, with nothing of Python's between that could raise another.
"""

from __future__ import annotations

from ctypes import ArgumentError
from typing import Any, Dict, NamedTuple, Tuple, Type


class FlagverError(Exception):
    """What the library refused or could not do; ``str()`` is one line that says what and why.

    code       the number, as in C: -3; 0 for what this package found out by itself
    name       its name: "ENOTFOUND"
    native     the code of the system or database underneath, or 0
    line       where in a text, 1-based, 0: not about a place; ``column`` likewise
    sqlstate   SQLSTATE of a database, or ""
    result     of a route's operation: its `RouteResult`, as far as it got; else None
    """

    code: int = 0
    name: str = ""
    native: int = 0
    line: int = 0
    column: int = 0
    sqlstate: str = ""
    result: Any = None

    @property
    def message(self) -> str:
        return str(self.args[0]) if self.args else ""


class MistakeError(FlagverError):
    """The arguments or the input are wrong: the same call fails again."""


class RetryError(FlagverError):
    """Nothing happened; the same call may succeed later."""


class OutcomeUnknownError(FlagverError):
    """It is not known whether the change took place: run it again with the same idempotency key."""

    code, name = -17, "EUNKNOWN"


class BrokenError(FlagverError):
    """The handle can only be closed."""


class InvalidArgumentError(MistakeError, ValueError):
    """An argument is malformed or too long; the message names it and the limit."""


class OutOfMemoryError(RetryError, MemoryError):
    """Memory is short."""


class NotFoundError(MistakeError, LookupError):
    """There is no such store, phase, series or version, or it is deleted."""


class ParseError(MistakeError, ValueError):
    """A text is malformed; `line` and `column` say where."""


class InputOutputError(RetryError):
    """A file cannot be read or written."""


class NotSupportedError(MistakeError):
    """The client has no store, or its driver cannot do this."""


class BusyError(RetryError):
    """Somebody else has what is needed."""


class ExistsError(MistakeError):
    """It is there already."""


class ConflictError(MistakeError):
    """Somebody else changed it: `expect` is not the current number."""


class StaleError(MistakeError):
    """A newer version is in force than the one the draft was made from."""


class StateError(MistakeError):
    """Not possible in this state."""


class FrozenError(MistakeError):
    """The version was submitted and cannot be edited."""


class PhaseError(MistakeError):
    """This phase does not know the operation."""


class IdempotencyError(MistakeError):
    """The idempotency key belongs to another transaction."""


class SchemaError(MistakeError):
    """The store's schema is not the one that is needed."""


class UnavailableError(RetryError):
    """The store cannot be used now."""


class CorruptError(BrokenError):
    """The store contradicts itself, or a proof does not prove that."""


class ForkedError(BrokenError):
    """The store was opened before the process forked: `Client.reopen`."""


class TransactionTimeoutError(BrokenError):
    """The transaction was open for too long and has been rolled back."""


class DeniedError(MistakeError):
    """The policy does not allow it to this actor."""


class SelfApprovalError(MistakeError):
    """Who wrote it cannot approve it."""


class ChangedError(MistakeError):
    """It does not have the content that was reviewed."""


class IncompleteError(MistakeError):
    """Some of its items are not decided yet."""


class ValidationError(MistakeError):
    """The payload is not what the phase asks for."""


class KeyMissingError(MistakeError):
    """An encryption key is missing or wrong."""


class ClosedError(BrokenError):
    """The client, transaction or route is closed. (Found out by this package; no call was made.)"""

    name = "ECLOSED"


class LibraryError(ImportError):
    """libflagver was not found, or is not of a version that this package can use."""


class Code(NamedTuple):
    """One row of the table of codes: as FLAGVER_ERRORS in <flagver/base.h>."""

    name: str
    number: int
    category: Type[FlagverError]
    exception: Type[FlagverError]


#: All codes. A test holds this table against the library's.
CODES: Tuple[Code, ...] = (
    Code("EINVAL", 1, MistakeError, InvalidArgumentError),
    Code("ENOMEM", 2, RetryError, OutOfMemoryError),
    Code("ENOTFOUND", 3, MistakeError, NotFoundError),
    Code("EPARSE", 4, MistakeError, ParseError),
    Code("EIO", 5, RetryError, InputOutputError),
    Code("ENOTSUP", 6, MistakeError, NotSupportedError),
    Code("EBUSY", 7, RetryError, BusyError),
    Code("EEXIST", 8, MistakeError, ExistsError),
    Code("ECONFLICT", 9, MistakeError, ConflictError),
    Code("ESTALE", 10, MistakeError, StaleError),
    Code("ESTATE", 11, MistakeError, StateError),
    Code("EFROZEN", 12, MistakeError, FrozenError),
    Code("EPHASE", 13, MistakeError, PhaseError),
    Code("EIDEM", 14, MistakeError, IdempotencyError),
    Code("ESCHEMA", 15, MistakeError, SchemaError),
    Code("EUNAVAILABLE", 16, RetryError, UnavailableError),
    Code("EUNKNOWN", 17, OutcomeUnknownError, OutcomeUnknownError),
    Code("ECORRUPT", 18, BrokenError, CorruptError),
    Code("EFORKED", 19, BrokenError, ForkedError),
    Code("ETIMEDOUT", 20, BrokenError, TransactionTimeoutError),
    Code("EDENIED", 21, MistakeError, DeniedError),
    Code("ESELF", 22, MistakeError, SelfApprovalError),
    Code("ECHANGED", 23, MistakeError, ChangedError),
    Code("EINCOMPLETE", 24, MistakeError, IncompleteError),
    Code("EVALIDATION", 25, MistakeError, ValidationError),
    Code("EKEY", 26, MistakeError, KeyMissingError),
)

BY_NUMBER: Dict[int, Code] = {-row.number: row for row in CODES}

for _row in CODES:
    _row.exception.code = -_row.number
    _row.exception.name = _row.name
del _row


def number_of(failure: BaseException, otherwise: int) -> int:
    """What C is told of an exception. An application may give its own any code; what was raised must
    not be taken for success."""
    code = failure.code if isinstance(failure, FlagverError) else None
    return code if isinstance(code, int) and code in BY_NUMBER else otherwise


def make(code: int, message: str) -> FlagverError:
    """The exception for a code. One that a newer library has counts as broken."""
    row = BY_NUMBER.get(code)
    if row is not None:
        return row.exception(message)
    unknown = BrokenError(message)
    unknown.code, unknown.name = code, "E%d" % -code
    return unknown
