"""A stand-in for `openfeature-sdk`, where that is not installed: its documented interface, as far as
a provider meets it, and no more. With the SDK installed the tests run with the SDK.

Modules, names, arguments and defaults are those of version 0.8.
"""

import enum
import sys
import types
from dataclasses import dataclass, field


class ErrorCode(str, enum.Enum):
    PROVIDER_NOT_READY = "PROVIDER_NOT_READY"
    PROVIDER_FATAL = "PROVIDER_FATAL"
    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    PARSE_ERROR = "PARSE_ERROR"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    GENERAL = "GENERAL"


class OpenFeatureError(Exception):
    def __init__(self, error_code, error_message=None):
        super().__init__(error_message)
        self.error_code, self.error_message = error_code, error_message


class GeneralError(OpenFeatureError):
    def __init__(self, error_message=None):
        super().__init__(ErrorCode.GENERAL, error_message)


class ProviderFatalError(OpenFeatureError):
    def __init__(self, error_message=None):
        super().__init__(ErrorCode.PROVIDER_FATAL, error_message)


class Reason(str, enum.Enum):
    CACHED = "CACHED"
    DEFAULT = "DEFAULT"
    DISABLED = "DISABLED"
    ERROR = "ERROR"
    SPLIT = "SPLIT"
    STATIC = "STATIC"
    STALE = "STALE"
    TARGETING_MATCH = "TARGETING_MATCH"
    UNKNOWN = "UNKNOWN"


class _Generic:
    def __class_getitem__(cls, item):
        return cls


@dataclass
class FlagResolutionDetails(_Generic):
    value: object
    error_code: object = None
    error_message: object = None
    reason: object = None
    variant: object = None
    flag_metadata: dict = field(default_factory=dict)


@dataclass
class EvaluationContext:
    targeting_key: object = None
    attributes: dict = field(default_factory=dict)


class ProviderEvent(enum.Enum):
    PROVIDER_READY = "PROVIDER_READY"
    PROVIDER_CONFIGURATION_CHANGED = "PROVIDER_CONFIGURATION_CHANGED"
    PROVIDER_ERROR = "PROVIDER_ERROR"
    PROVIDER_STALE = "PROVIDER_STALE"


@dataclass
class ProviderEventDetails:
    flags_changed: object = None
    message: object = None
    error_code: object = None
    metadata: dict = field(default_factory=dict)


@dataclass
class Metadata:
    name: str
    domain: object = None


class AbstractProvider:
    """What the SDK gives a provider: `attach` before `initialize`, and functions that emit."""

    def __init__(self, *args, **kwargs):
        self._on_emit = None

    def attach(self, on_emit):
        self._on_emit = on_emit

    def detach(self):
        self._on_emit = None

    def emit(self, event, details):
        if self._on_emit is not None:
            self._on_emit(self, event, details)

    def emit_provider_ready(self, details):
        self.emit(ProviderEvent.PROVIDER_READY, details)

    def emit_provider_configuration_changed(self, details):
        self.emit(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, details)

    def emit_provider_error(self, details):
        self.emit(ProviderEvent.PROVIDER_ERROR, details)

    def emit_provider_stale(self, details):
        self.emit(ProviderEvent.PROVIDER_STALE, details)


def install():
    """Puts the modules where the SDK's would be."""
    contents = {
        "openfeature": {},
        "openfeature.evaluation_context": {"EvaluationContext": EvaluationContext},
        "openfeature.event": {"ProviderEvent": ProviderEvent,
                              "ProviderEventDetails": ProviderEventDetails},
        "openfeature.exception": {"ErrorCode": ErrorCode, "OpenFeatureError": OpenFeatureError,
                                  "GeneralError": GeneralError,
                                  "ProviderFatalError": ProviderFatalError},
        "openfeature.flag_evaluation": {"FlagResolutionDetails": FlagResolutionDetails,
                                        "Reason": Reason},
        "openfeature.provider": {"AbstractProvider": AbstractProvider, "Metadata": Metadata},
    }
    for name, members in contents.items():
        module = types.ModuleType(name)
        module.__dict__.update(members)
        if name == "openfeature":
            module.__path__ = []
        sys.modules[name] = module
