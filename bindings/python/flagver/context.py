"""For whom a flag is evaluated."""

from __future__ import annotations

import ctypes
from datetime import datetime
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from . import _structs as s
from ._convert import milliseconds, text, whole
from ._library import check, check_code, no_memory, quick, quick_function

_DEPTH_LIMIT = 100

# Without converters of arguments, which would take longer than the functions do: what is passed is a
# byref(), bytes or None, and numbers in the types of C.
_set_null = quick_function("flagver_context_set_null", ctypes.c_int)
_set_bool = quick_function("flagver_context_set_bool", ctypes.c_int)
_set_int = quick_function("flagver_context_set_int", ctypes.c_int)
_set_double = quick_function("flagver_context_set_double", ctypes.c_int)
_set_string = quick_function("flagver_context_set_string", ctypes.c_int)
_set_bytes = quick_function("flagver_context_set_bytes", ctypes.c_int)
_set_datetime = quick_function("flagver_context_set_datetime", ctypes.c_int)
_begin_object = quick_function("flagver_context_begin_object", ctypes.c_int)
_begin_list = quick_function("flagver_context_begin_list", ctypes.c_int)
_end = quick_function("flagver_context_end", ctypes.c_int)
_new = quick.context_new
_free = quick.context_free
_int64, _double, _size = ctypes.c_int64, ctypes.c_double, ctypes.c_size_t

#: (context, name or None in a list, value, what to call it) to a code.
_Put = Callable[[Any, Optional[bytes], Any, str], int]


def _put_null(context: Any, name: Optional[bytes], value: None, what: str) -> int:
    return _set_null(context, name)  # type: ignore[no-any-return]


def _put_bool(context: Any, name: Optional[bytes], value: bool, what: str) -> int:
    return _set_bool(context, name, 1 if value else 0)  # type: ignore[no-any-return]


def _put_int(context: Any, name: Optional[bytes], value: int, what: str) -> int:
    return _set_int(context, name, _int64(whole(value, what)))  # type: ignore[no-any-return]


def _put_double(context: Any, name: Optional[bytes], value: float, what: str) -> int:
    return _set_double(context, name, _double(value))  # type: ignore[no-any-return]


def _put_str(context: Any, name: Optional[bytes], value: str, what: str) -> int:
    encoded = value.encode()
    if b"\0" in encoded:
        return _set_bytes(context, name, encoded, _size(len(encoded)))  # type: ignore[no-any-return]
    return _set_string(context, name, encoded)  # type: ignore[no-any-return]


def _put_bytes(context: Any, name: Optional[bytes], value: bytes, what: str) -> int:
    return _set_bytes(context, name, value, _size(len(value)))  # type: ignore[no-any-return]


def _put_datetime(context: Any, name: Optional[bytes], value: datetime, what: str) -> int:
    ms = _int64(milliseconds(value, what))
    return _set_datetime(context, name, ms)  # type: ignore[no-any-return]


_SIMPLE: Dict[type, _Put] = {
    type(None): _put_null,
    bool: _put_bool,
    int: _put_int,
    float: _put_double,
    str: _put_str,
    bytes: _put_bytes,
    datetime: _put_datetime,
}


def _simple_for(value: Any) -> Optional[_Put]:
    put = _SIMPLE.get(type(value))
    if put is not None:
        return put
    for kind in (bool, int, float, str, bytes, datetime):  # and what was derived from them
        if isinstance(value, kind):
            return _SIMPLE[kind]
    return None


class _Members(List[Tuple[bytes, Any]]):
    """A mapping as it was when it was looked over."""


def _taken(value: Any, what: str, depth: int) -> Any:
    """A copy, made before anything of it is set: what does not fit is refused, and nothing of the
    caller's runs, or changes, while a list or an object of the context is open."""
    if _simple_for(value) is not None:
        if isinstance(value, datetime):
            milliseconds(value, what)
        elif isinstance(value, str):
            value.encode()
        elif isinstance(value, int):
            whole(value, what)
        return value
    if depth >= _DEPTH_LIMIT:
        raise ValueError("%s nests deeper than %d" % (what, _DEPTH_LIMIT))
    if isinstance(value, Mapping):
        members = _Members()
        for name, member in value.items():
            encoded = text(name, "a name in %s" % what)
            if not 1 <= len(encoded) <= 255:
                raise ValueError("a name in %s is not of 1 to 255 bytes" % what)
            members.append((encoded, _taken(member, what, depth + 1)))
        return members
    if isinstance(value, (list, tuple)):
        return [_taken(member, what, depth + 1) for member in value]
    raise TypeError(
        "%s is %s; None, bool, int, float, str, bytes, datetime, list, tuple or dict allowed"
        % (what, type(value).__name__)
    )


def _set(context: Any, name: Optional[bytes], value: Any, what: str) -> None:
    put = _simple_for(value)
    if put is not None:
        check_code(put(context, name, value, what))
        return
    if isinstance(value, _Members):
        check_code(_begin_object(context, name))
        for key, member in value:
            _set(context, key, member, what)
    else:
        check_code(_begin_list(context, name))
        for member in value:
            _set(context, None, member, what)
    check_code(_end(context))


class Context:
    """A targeting key and typed attributes.

    >>> user = Context("user42", country="DE", groups=["staff", "berlin"])
    >>> user["age"] = 42

    Attributes are None, bool, int (of 64 bits), float, str, bytes (a text that need not be UTF-8),
    datetime (with a time zone), and lists, tuples and mappings of these, nested up to 100 deep.
    They are copied into the library when they are set: no JSON is written.

    A context may be used again and again, by one thread at a time.
    """

    __slots__ = ("_flagver_context", "_pointer", "__weakref__")

    _pointer: int

    def __init__(
        self,
        targeting_key: Union[str, int, None] = None,
        attributes: Optional[Mapping[str, Any]] = None,
        **more: Any,
    ) -> None:
        self._pointer = 0
        if type(targeting_key) is str and "\0" not in targeting_key:
            self._hold(_new(targeting_key.encode()))
        else:
            self._hold(_new(None))
            if targeting_key is not None:
                self.targeting_key(targeting_key)
        if attributes:
            self.update(attributes)
        if more:
            self.update(more)

    def _hold(self, pointer: Optional[int]) -> None:
        if not pointer:
            raise no_memory()
        self._pointer = pointer
        # What foreign functions are given; it is made here, because evaluating is to be quick. They
        # take it from whatever has an attribute of this name, so nothing else may have one.
        self._flagver_context = ctypes.byref(s.Opaque.from_address(pointer))

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> "Context":
        """A context of one mapping, in which "targetingKey" is the key.

        As with JSON the key may be a string or an integer, None is a missing key, and with
        anything else every evaluation ends in INVALID_CONTEXT.
        """
        key = members.get("targetingKey")
        if key is None or isinstance(key, (str, int)) and not isinstance(key, bool):
            context = cls(key)
        else:
            context = cls._without_valid_key()
        for name, value in members.items():
            if name != "targetingKey":
                context[name] = value
        return context

    @classmethod
    def from_json(cls, json: Union[str, bytes]) -> "Context":
        """A context of JSON text: one object, as for `from_dict`."""
        encoded = json.encode() if isinstance(json, str) else json
        if not isinstance(encoded, bytes):
            raise TypeError("the JSON is %s; a str or bytes is wanted" % type(json).__name__)
        pointer = ctypes.c_void_p()
        check(quick.context_from_json, encoded, len(encoded), ctypes.byref(pointer))
        context = cls.__new__(cls)
        context._hold(pointer.value)
        return context

    @classmethod
    def _without_valid_key(cls) -> "Context":
        return cls.from_json(b'{"targetingKey": false}')

    def targeting_key(self, key: Union[str, int]) -> None:
        """Take another key. An int is its decimal text."""
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            raise TypeError("the targeting key is %s; a str or int is wanted" % type(key).__name__)
        encoded = str(key).encode()
        check_code(quick.context_set_key(self._pointer, encoded, len(encoded)))

    def __setitem__(self, name: str, value: Any) -> None:
        encoded = text(name, "the name of an attribute")
        put = _SIMPLE.get(type(value))
        if put is None:
            taken = _taken(value, name, 0)
            if name == "targetingKey" or not 1 <= len(encoded) <= 255:
                self._refuse(name, encoded, -1)
            _set(self._flagver_context, encoded, taken, name)
            return
        code = put(self._flagver_context, encoded, value, name)
        if code < 0:
            self._refuse(name, encoded, code)

    @staticmethod
    def _refuse(name: str, encoded: bytes, code: int) -> None:
        if code == -1:
            why = "is the key, not an attribute" if name == "targetingKey" else "is not allowed"
            raise ValueError(
                "the name %r %s; names are 1 to 255 bytes, this is %d" % (name, why, len(encoded))
            )
        check_code(code)

    def update(self, attributes: Mapping[str, Any]) -> None:
        """Set several attributes."""
        for name, value in attributes.items():
            self[name] = value

    def clear(self, targeting_key: Union[str, int, None] = None) -> None:
        """Forget everything and take this key, keeping the memory for the next use."""
        check_code(quick.context_reset(self._pointer, None))
        if targeting_key is not None:
            self.targeting_key(targeting_key)

    def __del__(self, _free: Any = _free) -> None:
        pointer = getattr(self, "_pointer", 0)
        self._pointer = 0
        if pointer:
            _free(pointer)

    def __copy__(self) -> "Context":
        raise TypeError("a Context cannot be copied")

    def __reduce__(self) -> Any:
        raise TypeError("a Context cannot be pickled")


class _Nobody(Context):
    __slots__ = ()

    def _keep(self, *_: Any, **__: Any) -> None:
        raise TypeError("NOBODY cannot be changed; make a Context")

    __setitem__ = targeting_key = clear = _keep


#: Nobody: a context without a key and without attributes, which cannot be changed.
NOBODY: Context = _Nobody()
