"""libflagver for Python: feature flags and versioned records, inside the application that asks.

    import flagver

    with flagver.Client("sqlite:flagver.db") as client:
        if client.boolean("report_setup", flagver.Context("user42", country="DE"), False):
            ...

The functions of C are methods here: of `Client` what reads, of `Transaction` what writes. Errors are
exceptions, one class for each code, below one for each kind of error (`flagver.errors`).
"""

from ._library import PATH as library_path
from ._library import VERSION as library_version
from . import errors
from .client import ALLOW, ASK_RULES, DENY, Actor, Alert, Client, Hook
from .context import NOBODY, Context
from .errors import (
    ArgumentError,
    BrokenError,
    FlagverError,
    LibraryError,
    MistakeError,
    OutcomeUnknownError,
    RetryError,
)
from .evaluation import Detail, Flag, Snapshot
from .records import Version
from .routing import Route, Side
from .transaction import NOTHING, Transaction

__version__ = "0.1.0"

__all__ = [
    "ALLOW",
    "ASK_RULES",
    "Actor",
    "Alert",
    "ArgumentError",
    "BrokenError",
    "Client",
    "Context",
    "DENY",
    "Detail",
    "Flag",
    "FlagverError",
    "Hook",
    "LibraryError",
    "MistakeError",
    "NOBODY",
    "NOTHING",
    "OutcomeUnknownError",
    "RetryError",
    "Route",
    "Side",
    "Snapshot",
    "Transaction",
    "Version",
    "errors",
    "library_path",
    "library_version",
]
