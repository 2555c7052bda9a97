"""The library's structs and constants, as in its headers. Nested structs are written flat
where only their members are wanted: the layout is the same."""

from __future__ import annotations

from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_bool,
    c_char,
    c_char_p,
    c_double,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
    sizeof,
)
from typing import Any

Bytes32 = c_uint8 * 32


class ErrorStruct(Structure):
    _fields_ = [
        ("code", c_int32),
        ("native", c_int32),
        ("line", c_int32),
        ("column", c_int32),
        ("sqlstate", c_char * 8),
        ("message", c_char * 1024),
    ]


class Sized(Structure):
    """A struct that begins with its size, which is set when it is made."""

    def __init__(self, **members: Any) -> None:
        super().__init__(**members)
        self.size = sizeof(self)


class Opaque(Structure):
    """Something of the library's, of which only the address is known."""


class DetailStruct(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("flag", c_void_p),
        ("flag_length", c_size_t),
        # flagver_value
        ("type", c_int32),
        ("boolean", c_bool),
        ("integer", c_int64),
        ("real", c_double),
        ("string", c_void_p),
        ("length", c_size_t),
        ("variant", c_char_p),
        ("reason", c_int32),
        ("error", c_int32),
        ("rule", c_char_p),
        ("bucket", c_int32),
        ("version", c_int64),
        ("metadata", c_char_p),
    ]


class ActorStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("id", c_char_p),
        ("roles", POINTER(c_char_p)),
        ("role_count", c_size_t),
    ]


BeforeFunction = CFUNCTYPE(None, c_void_p, c_char_p, c_void_p)
AfterFunction = CFUNCTYPE(None, c_void_p, c_void_p, POINTER(DetailStruct))
ClockFunction = CFUNCTYPE(c_int64, c_void_p)
LogFunction = CFUNCTYPE(None, c_void_p, c_int, c_char_p)
AuthorizeFunction = CFUNCTYPE(
    c_int, c_void_p, POINTER(ActorStruct), c_char_p, c_char_p, c_char_p
)
KeyFunction = CFUNCTYPE(c_int, c_void_p, c_char_p, POINTER(c_char * 65), POINTER(Bytes32))
ListenFunction = CFUNCTYPE(None, c_void_p, POINTER(c_char_p), c_size_t)


class HookStruct(Structure):
    _fields_ = [("before", BeforeFunction), ("after", AfterFunction), ("data", c_void_p)]


class AlertStruct(Structure):
    _fields_ = [
        ("flag", c_char_p),
        ("guard", c_char_p),
        ("value", c_double),
        ("limit", c_double),
        ("from_", c_double),
        ("to", c_double),
        ("samples", c_uint64),
        ("acted", c_bool),
        ("no", c_uint32),
        ("why", c_char_p),
    ]


AlertFunction = CFUNCTYPE(None, c_void_p, POINTER(AlertStruct))


class OptionsStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("allocator", c_void_p),
        ("clock", ClockFunction),
        ("clock_data", c_void_p),
        ("log", LogFunction),
        ("log_data", c_void_p),
        ("hook", POINTER(HookStruct)),
        ("no_environment", c_int32),
        ("background", c_int32),
        ("tenant", c_char_p),
        ("cache_file", c_char_p),
        ("wait_ms", c_int32),
        ("poll_ms", c_int32),
        ("authorize", AuthorizeFunction),
        ("authorize_data", c_void_p),
        ("key", KeyFunction),
        ("key_data", c_void_p),
        ("key_file", c_char_p),
        ("flush_ms", c_int32),
        ("reserved", c_int32),
        ("guardian", POINTER(ActorStruct)),
        ("alert", AlertFunction),
        ("alert_data", c_void_p),
    ]


class TxnOptionsStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("idempotency_key", c_char_p),
        ("timeout_ms", c_int32),
        ("reserved", c_int32),
    ]


RunFunction = CFUNCTYPE(c_int, c_void_p, c_void_p, POINTER(ErrorStruct))


class WriteOptionsStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("note", c_char_p),
        ("expect_no", c_uint32),
        ("flags", c_uint32),
        ("content_hash", c_char_p),
        ("parent_no", c_uint32),
        ("baseline_no", c_uint32),
    ]


class VersionStruct(Structure):
    _fields_ = [
        ("phase", c_char_p),
        ("subject", c_char_p),
        ("id", c_char_p),
        ("no", c_uint32),
        ("parent_no", c_uint32),
        ("base_no", c_uint32),
        ("reverts_no", c_uint32),
        ("superseded_by", c_uint32),
        ("state", c_int32),
        ("tombstone", c_bool),
        ("rev", c_int64),
        ("created_at", c_int64),
        ("submitted_at", c_int64),
        ("decided_at", c_int64),
        ("superseded_at", c_int64),
        ("created_by", c_char_p),
        ("decided_by", c_char_p),
        ("note", c_char_p),
        ("content_hash", Bytes32),
        ("payload", c_void_p),
        ("payload_length", c_size_t),
        ("emergency", c_bool),
        ("payload_state", c_int32),
    ]


class ListOptionsStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("prefix", c_char_p),
        ("after", c_char_p),
        ("after_no", c_uint32),
        ("limit", c_uint32),
        ("backwards", c_int32),
        ("payload", c_int32),
        ("all", c_int32),
        ("states", c_uint32),
        ("as_of", c_int64),
        ("author", c_char_p),
    ]


class ItemContentStruct(Structure):
    _fields_ = [("key", c_char_p), ("json", c_char_p), ("length", c_size_t)]


class ItemStruct(Structure):
    _fields_ = [
        ("key", c_char_p),
        ("origin_no", c_uint32),
        ("status", c_int32),
        ("decided_by", c_char_p),
        ("note", c_char_p),
        ("decided_at", c_int64),
        ("hash", Bytes32),
        ("payload", c_void_p),
        ("payload_length", c_size_t),
        ("payload_state", c_int32),
    ]


class VoteStruct(Structure):
    _fields_ = [
        ("actor", c_char_p),
        ("note", c_char_p),
        ("time", c_int64),
        ("content_hash", Bytes32),
    ]


class PlanStepStruct(Structure):
    _fields_ = [
        ("action", c_int32),
        ("segment", c_bool),
        ("key", c_char_p),
        ("current_no", c_uint32),
        ("difference", c_char_p),
        ("phase", c_char_p),
    ]


class AuditEntryStruct(Structure):
    _fields_ = [
        ("no", c_uint64),
        ("time", c_int64),
        ("actor", c_char_p),
        ("action", c_char_p),
        ("phase", c_char_p),
        ("subject", c_char_p),
        ("version_no", c_uint32),
        ("supersedes", c_uint32),
        ("from_", c_int32),
        ("to", c_int32),
        ("bits", c_uint32),
        ("content_hash", Bytes32),
        ("leaf_hash", Bytes32),
        ("rev", c_int64),
        ("parent_no", c_uint32),
        ("base_no", c_uint32),
        ("reverts_no", c_uint32),
        ("policy_no", c_uint32),
        ("policy", c_char_p),
        ("rule", c_char_p),
        ("idempotency_key", c_char_p),
        ("decisions_hash", Bytes32),
        ("note_hash", Bytes32),
    ]


class ProofStruct(Structure):
    _fields_ = [
        ("first", c_uint64),
        ("second", c_uint64),
        ("count", c_uint32),
        ("reserved", c_uint32),
        ("leaf", Bytes32),
        ("hashes", Bytes32 * 128),
    ]


class VerifyOptionsStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("checkpoint", c_char_p),
        ("checkpoint_length", c_size_t),
        ("verifier", c_char_p),
        ("tree_only", c_int32),
        ("reserved", c_int32),
    ]


class VerifyResultStruct(Structure):
    _fields_ = [
        ("leaves", c_uint64),
        ("versions", c_uint64),
        ("payloads", c_uint64),
        ("findings", c_uint64),
        ("root", Bytes32),
        ("sealed", c_uint64),
        ("shredded", c_uint64),
    ]


class IdmapEntryStruct(Structure):
    _fields_ = [
        ("entity", c_char_p),
        ("old_id", c_char_p),
        ("new_id", c_char_p),
        ("time", c_int64),
    ]


class DataKeyStruct(Structure):
    _fields_ = [("no", c_uint32), ("key_id", c_char_p), ("opens", c_bool), ("time", c_int64)]


class KeyRotationStruct(Structure):
    _fields_ = [("data_keys", c_uint32), ("rewrapped", c_uint32)]


class MetricOptionsStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("phase", c_char_p),
        ("prefix", c_char_p),
        ("from_", c_int64),
        ("to", c_int64),
        ("parts", c_int32),
        ("by_month", c_int32),
    ]


class MetricHoursStruct(Structure):
    _fields_ = [
        ("count", c_uint64),
        ("mean", c_double),
        ("median", c_double),
        ("p95", c_double),
    ]


class MetricGroupStruct(Structure):
    _fields_ = [
        ("phase", c_char_p),
        ("subject", c_char_p),
        ("month", c_char_p),
        ("created", c_uint64),
        ("emergencies", c_uint64),
        ("states", c_uint64 * 8),
        ("to_submit", MetricHoursStruct),
        ("to_approve", MetricHoursStruct),
    ]


class TrackOptionsStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("flag", c_char_p),
        ("from_", c_int64),
        ("to", c_int64),
        ("by", c_int32),
        ("own", c_int32),
    ]


class TrackGroupStruct(Structure):
    _fields_ = [
        ("flag", c_char_p),
        ("variant", c_char_p),
        ("event", c_char_p),
        ("from_", c_int64),
        ("evaluations", c_uint64),
        ("succeeded", c_uint64),
        ("failed", c_uint64),
        ("timed", c_uint64),
        ("error_rate", c_double),
        ("mean_ms", c_double),
        ("p50_ms", c_double),
        ("p95_ms", c_double),
        ("p99_ms", c_double),
        ("count", c_uint64),
        ("sum", c_double),
    ]


# ---- routes ----


class SideCallStruct(Structure):
    _fields_ = [
        ("operation", c_int32),
        ("side", c_int32),
        ("key", c_char_p),
        ("operation_id", c_char_p),
        ("payload", c_void_p),
        ("payload_length", c_size_t),
        ("deadline", c_int64),
        ("txn", c_void_p),
    ]


class SideRowStruct(Structure):
    _fields_ = [("key", c_char_p), ("value", c_void_p), ("length", c_size_t)]


_CALL = POINTER(SideCallStruct)
_ERROR = POINTER(ErrorStruct)
ReadFunction = CFUNCTYPE(c_int, c_void_p, _CALL, c_void_p, _ERROR)
WriteFunction = CFUNCTYPE(c_int, c_void_p, _CALL, c_void_p, c_size_t, c_void_p, _ERROR)
RemoveFunction = CFUNCTYPE(c_int, c_void_p, _CALL, _ERROR)
ScanFunction = CFUNCTYPE(c_int, c_void_p, _CALL, c_char_p, c_uint32, c_void_p, _ERROR)
WriteManyFunction = CFUNCTYPE(
    c_int, c_void_p, _CALL, POINTER(SideRowStruct), c_size_t, _ERROR
)
CountFunction = CFUNCTYPE(c_int, c_void_p, _CALL, POINTER(c_uint64), _ERROR)
FindFunction = CFUNCTYPE(c_int, c_void_p, _CALL, c_void_p, _ERROR)


class SideStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("client", c_void_p),
        ("data", c_void_p),
        ("read", ReadFunction),
        ("write", WriteFunction),
        ("remove", RemoveFunction),
        ("scan", ScanFunction),
        ("write_many", WriteManyFunction),
        ("deactivate", RemoveFunction),
        ("count", CountFunction),
        ("find_by_operation", FindFunction),
    ]


class SideResultStruct(Structure):
    _fields_ = [("invoked", c_bool), ("code", c_int32), ("latency_ns", c_int64)]


class RouteEventStruct(Structure):
    _fields_ = [
        ("route", c_char_p),
        ("operation", c_int32),
        ("key", c_char_p),
        ("context", c_void_p),
        ("time", c_int64),
        ("stage", c_int32),
        ("default_stage", c_int32),
        ("version", c_int64),
        ("reason", c_int32),
        ("error", c_int32),
        ("sides", SideResultStruct * 2),
        ("consistent", c_int32),
        ("check_ratio", c_uint32),
        ("sampling_ratio", c_uint32),
    ]


class DifferenceStruct(Structure):
    _fields_ = [
        ("kind", c_int32),
        ("key", c_char_p),
        ("old_value", c_void_p),
        ("new_value", c_void_p),
        ("old_length", c_size_t),
        ("new_length", c_size_t),
    ]


class RouteAlertStruct(Structure):
    _fields_ = [
        ("route", c_char_p),
        ("guard", c_char_p),
        ("value", c_double),
        ("limit", c_double),
        ("stage", c_int32),
        ("acted", c_bool),
    ]


CompareFunction = CFUNCTYPE(
    c_int, c_void_p, c_char_p, c_void_p, c_size_t, c_void_p, c_size_t
)
EventFunction = CFUNCTYPE(None, c_void_p, POINTER(RouteEventStruct))
RouteAlertFunction = CFUNCTYPE(None, c_void_p, POINTER(RouteAlertStruct))
RandomFunction = CFUNCTYPE(c_uint64, c_void_p)
ThrottleFunction = CFUNCTYPE(c_int32, c_void_p)
DifferenceFunction = CFUNCTYPE(None, c_void_p, POINTER(DifferenceStruct))


class RouteOptionsStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("flag", c_char_p),
        ("default_stage", c_int32),
        ("order", c_int32),
        ("old_side", SideStruct),
        ("new_side", SideStruct),
        ("compare", CompareFunction),
        ("compare_data", c_void_p),
        ("workers", c_int32),
        ("shadow_timeout_ms", c_int32),
        ("check_ratio", c_int32),
        ("sampling_ratio", c_int32),
        ("event", EventFunction),
        ("event_data", c_void_p),
        ("random", RandomFunction),
        ("random_data", c_void_p),
        ("alert", RouteAlertFunction),
        ("alert_data", c_void_p),
        ("background", c_int32),
        ("chunk_ms", c_int32),
        ("copy_share", c_int32),
        ("verify", c_int32),
        ("throttle", ThrottleFunction),
        ("throttle_data", c_void_p),
        ("difference", DifferenceFunction),
        ("difference_data", c_void_p),
    ]


class RouteCallStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("context", c_void_p),
        ("payload", c_char_p),
        ("payload_length", c_size_t),
        ("operation_id", c_char_p),
        ("strict", c_int32),
        ("reserved", c_int32),
    ]


class RouteResultStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("value", c_void_p),
        ("length", c_size_t),
        ("key", c_char_p),
        ("stage", c_int32),
        ("side", c_int32),
        ("sides", SideResultStruct * 2),
        ("errors", ErrorStruct * 2),
        ("consistent", c_int32),
        ("pending", c_bool),
    ]


class RouteChangeStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("percentage", c_double),
        ("forced", c_char_p),
        ("note", c_char_p),
        ("wait_ms", c_int32),
        ("reserved", c_int32),
    ]


class RouteProgressStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("stage", c_int32),
        ("settled", c_bool),
        ("copied_all", c_bool),
        ("repaired", c_uint64),
        ("unrepaired", c_uint64),
        ("waiting", c_uint64),
        ("copied", c_uint64),
        ("oldest_ms", c_int64),
        ("copied_so_far", c_uint64),
        ("copy_total", c_uint64),
        ("copy_rate", c_double),
        ("copy_left_ms", c_int64),
        ("rest_ms", c_int64),
        ("verified", c_bool),
        ("compared_so_far", c_uint64),
        ("differences", c_uint64),
        ("left_out", c_uint64),
        ("compare_rate", c_double),
        ("compare_left_ms", c_int64),
    ]


class CompareOptionsStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("chunk", c_uint32),
        ("confirm_ms", c_int32),
        ("repair", c_int32),
        ("reserved", c_int32),
        ("ret_left_out", POINTER(c_uint64)),
    ]


# ---- looking after a store ----


class CopyStateStruct(Structure):
    _fields_ = [
        ("tenant", c_char_p),
        ("stage", c_int32),
        ("reserved", c_int32),
        ("copied", c_uint64),
        ("leaves", c_uint64),
        ("root", Bytes32),
        ("problem", POINTER(ErrorStruct)),
    ]


CopyFunction = CFUNCTYPE(c_bool, c_void_p, POINTER(CopyStateStruct))


class CopyOptionsStruct(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("tenant", c_char_p),
        ("follow", c_int32),
        ("leaves", c_uint32),
        ("tell", CopyFunction),
        ("data", c_void_p),
    ]


def _visitor(kind: Any, result: Any = c_bool) -> Any:
    return CFUNCTYPE(result, c_void_p, POINTER(kind))


VisitDetail = _visitor(DetailStruct)
VisitVersion = _visitor(VersionStruct)
VisitItem = _visitor(ItemStruct)
VisitVote = _visitor(VoteStruct)
VisitName = CFUNCTYPE(c_bool, c_void_p, c_char_p)
VisitEntry = _visitor(AuditEntryStruct)
VisitMapping = _visitor(IdmapEntryStruct)
VisitKey = _visitor(DataKeyStruct)
VisitStep = _visitor(PlanStepStruct, None)
VisitMetric = _visitor(MetricGroupStruct, None)
VisitTrack = _visitor(TrackGroupStruct, None)
VisitDifference = _visitor(DifferenceStruct)
VisitLine = CFUNCTYPE(None, c_void_p, c_char_p)
VisitFinding = CFUNCTYPE(None, c_void_p, c_int, c_char_p)
VisitCheck = CFUNCTYPE(None, c_void_p, c_bool, c_char_p)
VisitCount = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p, c_uint64)
