"""Evaluating flags: details, bound flags, snapshots.

Evaluation never fails and never blocks: where there is no answer the caller gets the default that
it gave with the call, and the detail says why.
"""

from __future__ import annotations

import ctypes
import json
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, NoReturn, Optional, TypeVar

from . import _structs as s
from ._convert import object_text, whole
from ._library import ask_text, check, quick, quick_function, store
from .context import NOBODY, Context
from .errors import ClosedError

if TYPE_CHECKING:
    from ._core import Core

T = TypeVar("T")

ANY, BOOLEAN, STRING, INTEGER, DOUBLE, JSON = range(6)

#: Types of flags, as in definitions.
TYPES: Dict[str, int] = {
    "boolean": BOOLEAN,
    "string": STRING,
    "integer": INTEGER,
    "double": DOUBLE,
    "json": JSON,
}

#: By their numbers; as OpenFeature names them.
REASONS = ("ERROR", "STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED")
ERRORS = (
    None,
    "FLAG_NOT_FOUND",
    "PARSE_ERROR",
    "TYPE_MISMATCH",
    "TARGETING_KEY_MISSING",
    "INVALID_CONTEXT",
    "GENERAL",
)


class Detail(NamedTuple):
    """How an evaluation went.

    flag      the flag's key
    value     what was served; after an error the default of the caller
    variant   the variant's name; None after an error
    reason    "STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED" or "ERROR"
    error     "FLAG_NOT_FOUND", "TYPE_MISMATCH", … or None
    rule      the id of the rule that decided, or None
    bucket    the bucket that was used, or None
    version   the flag's version in the store, 0 where flags have none
    metadata_json  the flag's metadata as JSON text, or None
    """

    flag: str
    value: Any
    variant: Optional[str]
    reason: str
    error: Optional[str]
    rule: Optional[str]
    bucket: Optional[int]
    version: int
    metadata_json: Optional[str]

    @property
    def metadata(self) -> Dict[str, Any]:
        """The flag's metadata."""
        return json.loads(self.metadata_json) if self.metadata_json else {}


def value_of(d: s.DetailStruct) -> Any:
    kind = d.type
    if kind == BOOLEAN:
        return d.boolean
    if kind == INTEGER:
        return d.integer
    if kind == DOUBLE:
        return d.real
    if kind == STRING:
        return ctypes.string_at(d.string, d.length).decode("utf-8", "replace")
    if kind == JSON:
        return json.loads(ctypes.string_at(d.string, d.length))
    return None


def _named(names: Any, number: int) -> Any:
    return names[number] if number < len(names) else "UNKNOWN"


def detail_of(d: s.DetailStruct, flag: str, default: Any) -> Detail:
    # The texts are borrowed from the library: they are copied before anything else happens.
    variant, rule, metadata, error = d.variant, d.rule, d.metadata, d.error
    if not error:
        default = value_of(d)
    bucket = d.bucket
    return Detail(
        flag,
        default,
        variant if variant is None else variant.decode("utf-8", "replace"),
        _named(REASONS, d.reason),
        _named(ERRORS, error),
        rule if rule is None else rule.decode("utf-8", "replace"),
        bucket if bucket >= 0 else None,
        d.version,
        metadata if metadata is None else metadata.decode("utf-8", "replace"),
    )


_DETAIL_SIZE = ctypes.sizeof(s.DetailStruct)


def new_detail() -> s.DetailStruct:
    return s.DetailStruct(_DETAIL_SIZE)


class Converter:
    """A converter of arguments. It has to be quick, so it is a function that is written in C."""

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self.from_param = convert


class _Booleans(Dict[Any, int]):
    def __missing__(self, key: Any) -> int:
        raise TypeError("%r is no bool" % (key,))


# They raise an exception for whatever is of another kind: no such pointer gets as far as C.
CONTEXT = Converter(attrgetter("_flagver_context"))
_BOUND = Converter(attrgetter("_bound"))
_DEFAULT = Converter(_Booleans({False: 0, True: 1}).__getitem__)


def _raise_closed(*_: Any) -> NoReturn:
    raise ClosedError("the client is closed")


class Calls:
    """The foreign functions of one client's bound flags. They can be made to raise."""

    def __init__(self, core: "Core", guarded: bool) -> None:
        self._functions: List[Any] = []
        self._bound: Dict[bytes, Bound] = {}
        self._core = core if guarded else None
        self.boolean = self._make("flagver_bound_bool", ctypes.c_bool, _DEFAULT)
        self.integer = self._make("flagver_bound_int", ctypes.c_int64, ctypes.c_int64)
        self.double = self._make("flagver_bound_double", ctypes.c_double, ctypes.c_double)
        # What follows the context is ours: None, an int and a byref() need no converters.
        self.string = self._make("flagver_bound_string", ctypes.c_char_p)
        self.json = self._make("flagver_bound_json", ctypes.c_char_p)
        self.evaluate = self._make("flagver_bound_evaluate", ctypes.c_int)
        core.at_close.append(self._close)

    def _make(self, name: str, result: Any, *converters: Any) -> Callable[..., Any]:
        function = quick_function(name, result, _BOUND, CONTEXT, *converters)
        self._functions.append(function)
        if self._core is None:
            return function  # type: ignore[no-any-return]
        core = self._core

        def guarded(*arguments: Any) -> Any:
            with core:
                return function(*arguments)

        return guarded

    def bound(self, core: "Core", key: bytes) -> "Bound":
        """What binds the functions to a flag: the same for every handle of this key."""
        with core:  # to the end: whoever closes has to find it in the table
            pointer = ctypes.c_void_p()
            check(store.flag_bind, core.handle, key, ctypes.byref(pointer))
            assert pointer.value is not None
            made = Bound(ctypes.byref(s.Opaque.from_address(pointer.value)))
            return self._bound.setdefault(key, made)

    def _close(self) -> None:
        for function in self._functions:
            function.errcheck = _raise_closed
        for bound in self._bound.values():
            bound._bound = None  # C gets NULL, and answers with the default


class Bound:
    __slots__ = ("_bound",)

    def __init__(self, argument: Any) -> None:
        self._bound = argument


class Flag:
    """A flag looked up once: ``client.bind("report_setup")``.

    It skips the lookup of the key, survives change, deletion and re-creation of its flag, and may
    be used by any thread. Once the client is closed its calls raise `ClosedError`.

    ``boolean(context, default)`` and ``double(context, default)`` are foreign functions themselves,
    for speed. They take their arguments by position, a `Context` (`NOBODY` for none) and a default
    of the flag's type; with anything else they raise `flagver.ArgumentError`.
    """

    __slots__ = ("key", "boolean", "double", "_bound", "_calls")

    #: The value, or `default`.
    boolean: Callable[[Context, bool], bool]
    double: Callable[[Context, float], float]

    def __init__(self, calls: Calls, bound: Bound, key: str) -> None:
        self.key = key
        self._calls = calls
        self._bound = bound
        self.boolean = partial(calls.boolean, bound)
        self.double = partial(calls.double, bound)

    def integer(self, context: Context, default: int) -> int:
        return self._calls.integer(  # type: ignore[no-any-return]
            self._bound, context, whole(default, "default")
        )

    def string(self, context: Context, default: T) -> Any:
        value = self._calls.string(self._bound, context, None)
        return default if value is None else value.decode("utf-8", "replace")

    def json(self, context: Context, default: T) -> Any:
        """The value, as `json.loads` makes it."""
        value = self._calls.json(self._bound, context, None)
        return default if value is None else json.loads(value)

    def evaluate(self, context: Context, type: Optional[str] = None, default: Any = None) -> Detail:
        """How the evaluation goes; of the flag's own type unless another is asked for."""
        d = new_detail()
        kind = TYPES[type] if type is not None else ANY
        self._calls.evaluate(self._bound, context, kind, ctypes.byref(d))
        return detail_of(d, self.key, default)

    def boolean_detail(self, context: Context, default: bool) -> Detail:
        return self.evaluate(context, "boolean", default)

    def string_detail(self, context: Context, default: str) -> Detail:
        return self.evaluate(context, "string", default)

    def integer_detail(self, context: Context, default: int) -> Detail:
        return self.evaluate(context, "integer", default)

    def double_detail(self, context: Context, default: float) -> Detail:
        return self.evaluate(context, "double", default)

    def json_detail(self, context: Context, default: Any) -> Detail:
        return self.evaluate(context, "json", default)

    def __repr__(self) -> str:
        return "<flagver.Flag %r>" % self.key


class Asking:
    """The getters, for whatever can evaluate a key: a client, a snapshot."""

    __slots__ = ()

    def _evaluate(self, key: bytes, context: Context, kind: int, d: s.DetailStruct) -> int:
        raise NotImplementedError

    def _value(self, key: str, context: Optional[Context], kind: int, default: Any) -> Any:
        d = new_detail()
        failed = self._evaluate(str.encode(key), _somebody(context), kind, d)
        return default if failed else value_of(d)

    def boolean(self, key: str, context: Optional[Context], default: bool) -> bool:
        """The value of a flag, or `default`, as C's flagver_flag_bool()."""
        return self._value(key, context, BOOLEAN, default)  # type: ignore[no-any-return]

    def integer(self, key: str, context: Optional[Context], default: int) -> int:
        return self._value(key, context, INTEGER, default)  # type: ignore[no-any-return]

    def double(self, key: str, context: Optional[Context], default: float) -> float:
        return self._value(key, context, DOUBLE, default)  # type: ignore[no-any-return]

    def string(self, key: str, context: Optional[Context], default: T) -> Any:
        return self._value(key, context, STRING, default)

    def json(self, key: str, context: Optional[Context], default: T) -> Any:
        """The value, as `json.loads` makes it."""
        return self._value(key, context, JSON, default)

    def evaluate(
        self,
        key: str,
        context: Optional[Context] = None,
        type: Optional[str] = None,
        default: Any = None,
    ) -> Detail:
        """How the evaluation goes; of the flag's own type unless another is asked for."""
        d = new_detail()
        kind = TYPES[type] if type is not None else ANY
        self._evaluate(str.encode(key), _somebody(context), kind, d)
        return detail_of(d, key, default)

    def boolean_detail(self, key: str, context: Optional[Context], default: bool) -> Detail:
        return self.evaluate(key, context, "boolean", default)

    def string_detail(self, key: str, context: Optional[Context], default: str) -> Detail:
        return self.evaluate(key, context, "string", default)

    def integer_detail(self, key: str, context: Optional[Context], default: int) -> Detail:
        return self.evaluate(key, context, "integer", default)

    def double_detail(self, key: str, context: Optional[Context], default: float) -> Detail:
        return self.evaluate(key, context, "double", default)

    def json_detail(self, key: str, context: Optional[Context], default: Any) -> Detail:
        return self.evaluate(key, context, "json", default)


def _somebody(context: Optional[Context]) -> Context:
    if context is None:
        return NOBODY
    if not isinstance(context, Context):
        raise TypeError("the context is %s; a flagver.Context is wanted" % type(context).__name__)
    return context


def pointer_of(context: Optional[Context]) -> int:
    """A context for a function that has no converter."""
    return _somebody(context)._pointer


class Snapshot(Asking):
    """All flags as they were at one moment: `Client.snapshot`, `Client.snapshot_at`, `load`.

    Immutable; any number of threads may use it. Nothing that it does is counted.
    """

    __slots__ = ("_pointer", "_clock")

    def __init__(self, pointer: int, clock: Any = None) -> None:
        self._pointer = pointer
        self._clock = clock  # C goes on asking it

    @classmethod
    def load(cls, definitions: Any) -> "Snapshot":
        """Make one of definitions alone: a dict, or JSON text."""
        encoded = object_text(definitions, "definitions")
        pointer = ctypes.c_void_p()
        check(store.snapshot_load, encoded, len(encoded), None, ctypes.byref(pointer))
        assert pointer.value is not None
        return cls(pointer.value)

    def _evaluate(self, key: bytes, context: Context, kind: int, d: s.DetailStruct) -> int:
        return quick.snapshot_evaluate(  # type: ignore[no-any-return]
            self._pointer, key, len(key), pointer_of(context), kind, ctypes.byref(d)
        )

    def explain(self, key: str, context: Optional[Context] = None) -> Dict[str, Any]:
        """Why a flag serves what it serves: the result, and "steps"."""
        encoded = str.encode(key)
        answer = ask_text(
            quick.snapshot_explain, self._pointer, encoded, len(encoded), pointer_of(context)
        )
        return json.loads(answer)  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return int(quick.snapshot_size(self._pointer))

    def __del__(self, _free: Any = quick.snapshot_free) -> None:
        pointer = getattr(self, "_pointer", 0)
        if pointer:
            _free(pointer)
