"""What is read from a store: versions, items, the audit log."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from . import _structs as s
from ._convert import blob, decoded, moment, words

#: States of a version, by their numbers.
STATES = (
    "",
    "draft",
    "submitted",
    "approved",
    "superseded",
    "rejected",
    "withdrawn",
    "recorded",
)
#: Where a payload is.
PAYLOADS = ("none", "here", "shredded", "sealed")
ITEM_STATES = ("pending", "approved", "rejected")

_TOMBSTONE_BIT, _EMERGENCY_BIT, _SELF_BIT = 1, 2, 65536


def _name(names: Tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else "unknown %d" % number


class Version(NamedTuple):
    """One version of a record, immutable.

    no, parent_no, base_no, reverts_no, superseded_by   numbers; 0: none
    state          one of STATES
    rev            counts the changes of this version, from 1
    created_at, …  datetimes in UTC, or None: not (yet)
    content_hash   32 bytes: what reviewers have looked at
    payload_json   canonical JSON, or None; payload_state says why: one of PAYLOADS
    tombstone      it says that the record is deleted
    emergency      in force by an emergency rule, without approval
    """

    phase: str
    subject: str
    id: str
    no: int
    parent_no: int
    base_no: int
    reverts_no: int
    superseded_by: int
    state: str
    tombstone: bool
    rev: int
    created_at: Optional[datetime]
    submitted_at: Optional[datetime]
    decided_at: Optional[datetime]
    superseded_at: Optional[datetime]
    created_by: Optional[str]
    decided_by: Optional[str]
    note: Optional[str]
    content_hash: bytes
    payload_json: Optional[bytes]
    payload_state: str
    emergency: bool

    @property
    def payload(self) -> Any:
        """What the version says, as `json.loads` makes it; None without a payload."""
        return json.loads(self.payload_json) if self.payload_json is not None else None


def version_of(v: s.VersionStruct) -> Version:
    return Version(
        words(v.phase),
        words(v.subject),
        words(v.id),
        v.no,
        v.parent_no,
        v.base_no,
        v.reverts_no,
        v.superseded_by,
        _name(STATES, v.state),
        v.tombstone,
        v.rev,
        moment(v.created_at),
        moment(v.submitted_at),
        moment(v.decided_at),
        moment(v.superseded_at),
        decoded(v.created_by),
        decoded(v.decided_by),
        decoded(v.note),
        bytes(v.content_hash),
        blob(v.payload, v.payload_length),
        _name(PAYLOADS, v.payload_state),
        v.emergency,
    )


class Item(NamedTuple):
    """A part of a version that is decided by itself. `status` is one of ITEM_STATES."""

    key: str
    origin_no: int
    status: str
    decided_by: Optional[str]
    note: Optional[str]
    decided_at: Optional[datetime]
    hash: bytes
    payload_json: Optional[bytes]
    payload_state: str

    @property
    def payload(self) -> Any:
        return json.loads(self.payload_json) if self.payload_json is not None else None


def item_of(i: s.ItemStruct) -> Item:
    return Item(
        words(i.key),
        i.origin_no,
        _name(ITEM_STATES, i.status),
        decoded(i.decided_by),
        decoded(i.note),
        moment(i.decided_at),
        bytes(i.hash),
        blob(i.payload, i.payload_length),
        _name(PAYLOADS, i.payload_state),
    )


class Vote(NamedTuple):
    """Somebody's approval. It counts while the version has this content."""

    actor: str
    note: Optional[str]
    time: Optional[datetime]
    content_hash: bytes


def vote_of(v: s.VoteStruct) -> Vote:
    return Vote(words(v.actor), decoded(v.note), moment(v.time), bytes(v.content_hash))


class PlanStep(NamedTuple):
    """One thing that a definitions file would change: "create", "change" or "delete"."""

    action: str
    phase: str
    key: str
    current_no: int
    difference: str


def step_of(p: s.PlanStepStruct) -> PlanStep:
    return PlanStep(
        _name(("", "create", "change", "delete"), p.action),
        words(p.phase),
        words(p.key),
        p.current_no,
        words(p.difference),
    )


class AuditEntry(NamedTuple):
    """One entry of the audit log: one transition of one version."""

    no: int
    time: Optional[datetime]
    actor: str
    action: str
    phase: str
    subject: str
    version_no: int
    supersedes: int
    from_state: str
    to_state: str
    tombstone: bool
    emergency: bool
    self_approved: bool
    content_hash: bytes
    leaf_hash: bytes
    rev: int
    parent_no: int
    base_no: int
    reverts_no: int
    policy: str
    policy_no: int
    rule: str
    idempotency_key: Optional[str]
    decisions_hash: bytes
    note_hash: bytes


def entry_of(e: s.AuditEntryStruct) -> AuditEntry:
    return AuditEntry(
        e.no,
        moment(e.time),
        words(e.actor),
        words(e.action),
        words(e.phase),
        words(e.subject),
        e.version_no,
        e.supersedes,
        _name(STATES, e.from_),
        _name(STATES, e.to),
        bool(e.bits & _TOMBSTONE_BIT),
        bool(e.bits & _EMERGENCY_BIT),
        bool(e.bits & _SELF_BIT),
        bytes(e.content_hash),
        bytes(e.leaf_hash),
        e.rev,
        e.parent_no,
        e.base_no,
        e.reverts_no,
        words(e.policy),
        e.policy_no,
        words(e.rule),
        decoded(e.idempotency_key),
        bytes(e.decisions_hash),
        bytes(e.note_hash),
    )


class Mapping(NamedTuple):
    """What an entity is called in an old system and in a new one."""

    entity: str
    old_id: str
    new_id: str
    time: Optional[datetime]


def mapping_of(m: s.IdmapEntryStruct) -> Mapping:
    return Mapping(words(m.entity), words(m.old_id), words(m.new_id), moment(m.time))


class DataKey(NamedTuple):
    """A data key; `opens`: the key-encryption key that it lies under is at hand."""

    no: int
    key_id: str
    opens: bool
    time: Optional[datetime]


def key_of(k: s.DataKeyStruct) -> DataKey:
    return DataKey(k.no, words(k.key_id), k.opens, moment(k.time))


class Hours(NamedTuple):
    """A length of time over many versions, in hours."""

    count: int
    mean: float
    median: float
    p95: float


class Metrics(NamedTuple):
    """How the versions of one group fare. `states` counts them by the state they are in."""

    phase: str
    subject: str
    month: str
    created: int
    emergencies: int
    states: Dict[str, int]
    to_submit: Hours
    to_approve: Hours


def _hours(h: s.MetricHoursStruct) -> Hours:
    return Hours(h.count, h.mean, h.median, h.p95)


def metrics_of(m: s.MetricGroupStruct) -> Metrics:
    counts = {state: m.states[i] for i, state in enumerate(STATES) if i and m.states[i]}
    return Metrics(
        words(m.phase),
        words(m.subject),
        words(m.month),
        m.created,
        m.emergencies,
        counts,
        _hours(m.to_submit),
        _hours(m.to_approve),
    )


class Tracked(NamedTuple):
    """What was tracked of one flag and variant, or of one event (`event` is None for the flag
    itself). `from_time` is when the group begins; None: the whole time."""

    flag: str
    variant: str
    event: Optional[str]
    from_time: Optional[datetime]
    evaluations: int
    succeeded: int
    failed: int
    timed: int
    error_rate: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    count: int
    sum: float


def tracked_of(t: s.TrackGroupStruct) -> Tracked:
    return Tracked(
        words(t.flag),
        words(t.variant),
        decoded(t.event),
        moment(t.from_),
        t.evaluations,
        t.succeeded,
        t.failed,
        t.timed,
        t.error_rate,
        t.mean_ms,
        t.p50_ms,
        t.p95_ms,
        t.p99_ms,
        t.count,
        t.sum,
    )


def states_mask(states: Optional[List[str]]) -> int:
    """For `flagver_list_options`."""
    mask = 0
    for state in states or ():
        if state not in STATES[1:]:
            raise ValueError("%r is no state; %s are" % (state, ", ".join(STATES[1:])))
        mask |= 1 << STATES.index(state)
    return mask
