"""Functions that C calls for each of several things."""

from __future__ import annotations

from typing import Any, Callable, Optional, Type


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
