"""A provider for OpenFeature: needs `openfeature-sdk`.

    from openfeature import api
    from flagver.openfeature import FlagverProvider

    api.set_provider(FlagverProvider("sqlite:flagver.db"))
    api.get_client().get_boolean_value("report_setup", False)

Evaluations never wait, so the provider's asynchronous ones are the same functions. `set_provider`
opens the store, and `shutdown` closes it: both wait for it.
"""

from __future__ import annotations

import threading
from typing import Any, Dict, List, Mapping, Optional, Union

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, GeneralError, ProviderFatalError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata

from ._core import log as logger
from .client import Client
from .context import NOBODY, Context
from .errors import ClosedError, FlagverError, MistakeError

__all__ = ["FlagverProvider"]

#: Seconds.
_SOON = 0.5

_WORDS = {
    "FLAG_NOT_FOUND": "there is no flag %r",
    "PARSE_ERROR": "the definition of %r is malformed",
    "TYPE_MISMATCH": "flag %r is of another type",
    "TARGETING_KEY_MISSING": "flag %r needs a targeting key",
    "INVALID_CONTEXT": "the targeting key is no string (flag %r)",
    "GENERAL": "flag %r cannot be evaluated",
}


class FlagverProvider(AbstractProvider):
    """Flags of a store, a file or a client.

    With a URI it has a client of its own, with the options of `flagver.Client`: it is opened when the
    provider is initialised and closed when it is shut down, and tells when it is STALE and READY
    again. A `flagver.Client` is used as it is, and stays open.

    It tells PROVIDER_CONFIGURATION_CHANGED with the keys of the flags that may answer differently.
    A flag's metadata, and its "version" and "ruleId", are the metadata of its evaluation. What is
    tracked is counted by `Client.track`.
    """

    def __init__(self, source: Union[str, Client], **options: Any) -> None:
        super().__init__()
        if isinstance(source, Client) and options:
            raise TypeError("options are for a client of the provider's own")
        self._source = source
        self._options = options
        self._lock = threading.Lock()
        self._client: Optional[Client] = None
        self._listener: Optional[int] = None
        self._status = "ok"

    def get_metadata(self) -> Metadata:
        return Metadata(name="flagver")

    def get_provider_hooks(self) -> List[Any]:
        return []

    # ---- from the beginning to the end ----

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        with self._lock:
            if self._client is not None:
                return
            try:
                self._client = self._open()
                self._listener = self._client.listen(self._changed)
            except MistakeError as error:
                raise ProviderFatalError(str(error)) from error
            except FlagverError as error:
                raise GeneralError(str(error)) from error
            if self._client is not self._source and self._client.health()["status"] != "ok":
                self._look_soon()

    def _open(self) -> Client:
        if isinstance(self._source, Client):
            return self._source
        options = dict(self._options)
        options.setdefault("log", logger.warning)
        told = options["log"]

        def heard(message: str) -> None:
            told(message)
            self._look()

        options["log"] = heard
        self._status = "ok"
        return Client(self._source, **options)

    def shutdown(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            listener, self._listener = self._listener, None
        if client is None or client.closed:
            return
        if client is not self._source:
            client._core.soon(client.close)  # a handler of events may be who shuts down
        elif listener is not None:
            client.unlisten(listener)

    # ---- events ----

    def _changed(self, keys: List[str]) -> None:
        self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=keys))

    def _look_soon(self) -> None:
        """It was opened by its cache file. The SDK takes it for READY when `initialize` has returned,
        whatever was told before."""

        def look() -> None:
            try:
                self._look()
            except ClosedError:
                pass  # it was shut down meanwhile

        timer = threading.Timer(_SOON, look)
        timer.daemon = True
        timer.start()

    def _look(self) -> None:
        """The library has said something: perhaps that it lost the store, or has it again."""
        client = self._client
        if client is None:
            return
        health = client.health()
        status, before, self._status = health["status"], self._status, health["status"]
        if status == before:
            return
        if status == "ok":
            self.emit_provider_ready(ProviderEventDetails(message="flags are kept up to date again"))
            return
        error = health.get("error") or {}
        self.emit_provider_stale(ProviderEventDetails(message=error.get("message", status)))

    # ---- evaluations ----

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: Optional[EvaluationContext] = None,
    ) -> FlagResolutionDetails[bool]:
        return self._resolve("boolean", flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: Optional[EvaluationContext] = None,
    ) -> FlagResolutionDetails[str]:
        return self._resolve("string", flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: Optional[EvaluationContext] = None,
    ) -> FlagResolutionDetails[int]:
        return self._resolve("integer", flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: Optional[EvaluationContext] = None,
    ) -> FlagResolutionDetails[float]:
        return self._resolve("double", flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Any,
        evaluation_context: Optional[EvaluationContext] = None,
    ) -> FlagResolutionDetails[Any]:
        return self._resolve("json", flag_key, default_value, evaluation_context)

    def _resolve(
        self, kind: str, key: str, default: Any, context: Optional[EvaluationContext]
    ) -> FlagResolutionDetails[Any]:
        client = self._client
        if client is None:
            return _failed(default, "PROVIDER_NOT_READY", "the provider is not initialised")
        try:
            somebody = _context_of(context)
        except (TypeError, ValueError) as error:
            return _failed(default, "INVALID_CONTEXT", str(error))
        try:
            detail = client.evaluate(key, somebody, kind, default)
        except ClosedError as error:
            return _failed(default, "PROVIDER_NOT_READY", str(error))
        if detail.error is not None:
            words = _WORDS.get(detail.error, _WORDS["GENERAL"])
            return _failed(default, detail.error, words % key)
        if kind == "json" and not isinstance(detail.value, (dict, list)):
            return _failed(default, "TYPE_MISMATCH", "flag %r is no object" % key)
        return FlagResolutionDetails(
            value=detail.value,
            reason=Reason(detail.reason),
            variant=detail.variant,
            flag_metadata=_metadata(detail.metadata, detail.version, detail.rule),
        )

    # ---- tracking ----

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: Optional[EvaluationContext] = None,
        tracking_event_details: Any = None,
    ) -> None:
        """Counts the event, with the value of the details, or 1."""
        client = self._client
        if client is None:
            return
        value = getattr(tracking_event_details, "value", None)
        try:
            somebody = _context_of(evaluation_context)
            client.track(tracking_event_name, somebody, 1.0 if value is None else value)
        except (FlagverError, TypeError, ValueError) as error:
            logger.warning("%s was not tracked: %s", tracking_event_name, error)


def _context_of(context: Optional[EvaluationContext]) -> Context:
    if context is None:
        return NOBODY
    attributes: Mapping[str, Any] = context.attributes or {}
    members = {name: value for name, value in attributes.items() if name != "targetingKey"}
    made = Context(None, members)
    if context.targeting_key is not None:
        made.targeting_key(context.targeting_key)
    return made


def _failed(default: Any, code: str, message: str) -> FlagResolutionDetails[Any]:
    return FlagResolutionDetails(
        value=default,
        error_code=ErrorCode(code),
        error_message=message,
        reason=Reason.ERROR,
    )


def _metadata(given: Dict[str, Any], version: int, rule: Optional[str]) -> Dict[str, Any]:
    metadata = {k: v for k, v in given.items() if isinstance(v, (bool, int, float, str))}
    if version:
        metadata.setdefault("version", version)
    if rule is not None:
        metadata.setdefault("ruleId", rule)
    return metadata
