"""From Python to C and back: texts, JSON, times."""

from __future__ import annotations

import json
from ctypes import string_at
from datetime import datetime, timedelta, timezone
from typing import Any, Optional, Union

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)

#: A moment: a datetime with a time zone, or microseconds since 1970.
Time = Union[datetime, int]

#: JSON as Python has it; bytes are JSON text, as they are.
Json = Any


def text(value: str, what: str) -> bytes:
    """A text for C, which ends at the first NUL: one inside is refused."""
    if not isinstance(value, str):
        raise TypeError("%s is %s; a str is wanted" % (what, type(value).__name__))
    encoded = value.encode()
    if b"\0" in encoded:
        raise ValueError("%s has a NUL in it" % what)
    return encoded


def optional(value: Optional[str], what: str) -> Optional[bytes]:
    return None if value is None else text(value, what)


def number(value: int, what: str) -> int:
    """A number of a version, or another that C keeps in 32 bits without a sign."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("%s is %s; an int is wanted" % (what, type(value).__name__))
    if not 0 <= value < 2**32:
        raise ValueError("%s is %d; 0 to %d allowed" % (what, value, 2**32 - 1))
    return value


def whole(value: int, what: str) -> int:
    """A number that C keeps in 64 bits."""
    if not isinstance(value, int):
        raise TypeError("%s is %s; an int is wanted" % (what, type(value).__name__))
    if not -(2**63) <= value < 2**63:
        raise ValueError("%s is %d; 64 bits allowed" % (what, value))
    return value


def small(value: int, what: str) -> int:
    """A number that C keeps in 32 bits."""
    if not -(2**31) <= whole(value, what) < 2**31:
        raise ValueError("%s is %d; 32 bits allowed" % (what, value))
    return value


def size(value: int, what: str) -> int:
    """A number that C keeps in 64 bits without a sign."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("%s is %s; an int is wanted" % (what, type(value).__name__))
    if not 0 <= value < 2**64:
        raise ValueError("%s is %d; 0 to %d allowed" % (what, value, 2**64 - 1))
    return value


def json_text(value: Json, what: str) -> bytes:
    """JSON text of a value; bytes are JSON text already."""
    if isinstance(value, bytes):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("%s nests too deep" % what) from None
    except TypeError as error:
        raise TypeError("%s: %s" % (what, error)) from None
    except ValueError as error:
        raise ValueError("%s: %s" % (what, error)) from None


def object_text(value: Json, what: str) -> bytes:
    """The same of what is always an object: a text cannot be one, and is JSON text as well."""
    return value.encode() if isinstance(value, str) else json_text(value, what)


def _since_epoch(value: datetime, what: str) -> timedelta:
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError("%s is a datetime without a time zone" % what)
    return value - EPOCH


def microseconds(value: Optional[Time], what: str) -> int:
    if value is None:
        return 0
    if isinstance(value, datetime):
        return _since_epoch(value, what) // _MICROSECOND
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(
            "%s is %s; a datetime, or microseconds as an int" % (what, type(value).__name__)
        )
    return whole(value, what)


def milliseconds(value: datetime, what: str) -> int:
    return _since_epoch(value, what) // _MILLISECOND


def moment(value: int) -> Optional[datetime]:
    """A datetime in UTC; None for 0, which is "not (yet)"."""
    return EPOCH + timedelta(microseconds=value) if value else None


def decoded(value: Optional[bytes]) -> Optional[str]:
    return None if value is None else value.decode("utf-8", "replace")


def words(value: Optional[bytes]) -> str:
    return "" if value is None else value.decode("utf-8", "replace")


def blob(pointer: Optional[int], length: int) -> Optional[bytes]:
    return string_at(pointer, length) if pointer else None
