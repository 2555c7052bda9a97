"""Proofs that nobody has changed the audit log: what needs no store.

What a client's log says is asked of the client: `Client.audit_log`, `audit_head`, `checkpoint`,
`prove_inclusion`, `prove_consistency`, `verify`.
"""

from __future__ import annotations

import ctypes
from ctypes import byref
from typing import Any, List, NamedTuple, Optional, Tuple

from . import _structs as s
from ._convert import optional, size, text, words
from ._library import check, store, take_text
from ._visit import visiting

_HASH_SIZE = 32
_PROOF_LIMIT = 128


class Head(NamedTuple):
    """How long the log is, and the root of its tree."""

    size: int
    root: bytes


class Proof(NamedTuple):
    """The hashes of RFC 6962. `first`, `second`: leaf number and size, or old and new size."""

    first: int
    second: int
    leaf: bytes
    hashes: Tuple[bytes, ...]


class Verification(NamedTuple):
    """What was verified, what is wrong, and what could not be looked into."""

    findings: List[str]
    leaves: int
    versions: int
    payloads: int
    root: bytes
    sealed: int
    shredded: int


def proof_of(p: s.ProofStruct) -> Proof:
    hashes = tuple(bytes(p.hashes[i]) for i in range(p.count))
    return Proof(p.first, p.second, bytes(p.leaf), hashes)


def _proof_struct(proof: Proof) -> s.ProofStruct:
    if len(proof.hashes) > _PROOF_LIMIT:
        raise ValueError("a proof has %d hashes; 0 to %d allowed" % (len(proof.hashes), _PROOF_LIMIT))
    struct = s.ProofStruct(
        first=size(proof.first, "first"), second=size(proof.second, "second"), count=len(proof.hashes)
    )
    struct.leaf[:] = _hash(proof.leaf)
    for place, one in zip(struct.hashes, proof.hashes):
        place[:] = _hash(one)
    return struct


def _hash(value: bytes) -> bytes:
    if not isinstance(value, (bytes, bytearray)) or len(value) != _HASH_SIZE:
        raise ValueError("a hash is %d bytes" % _HASH_SIZE)
    return bytes(value)


def _root(value: bytes) -> Any:
    return s.Bytes32(*_hash(value))


def check_inclusion(proof: Proof, root: bytes) -> None:
    """Check that the leaf is in the log of this root. `CorruptError`: the proof does not prove it."""
    check(store.audit_check_inclusion, byref(_proof_struct(proof)), _root(root))


def check_consistency(proof: Proof, old_root: bytes, root: bytes) -> None:
    """Check that one log is the beginning of the other one."""
    struct = _proof_struct(proof)
    check(store.audit_check_consistency, byref(struct), _root(old_root), _root(root))


def keygen(name: str) -> Tuple[str, str]:
    """A key pair for checkpoints: the signer's, to be kept secret, and the verifier's."""
    signer, verifier = ctypes.c_void_p(), ctypes.c_void_p()
    check(store.audit_keygen, text(name, "the name"), byref(signer), byref(verifier))
    return take_text(signer), take_text(verifier)


def read_checkpoint(checkpoint: str, verifier: Optional[str] = None) -> Head:
    """What a checkpoint says. `KeyMissingError`: it is not signed by this key."""
    encoded, count, root = checkpoint.encode(), ctypes.c_uint64(), s.Bytes32()
    check(
        store.audit_read_checkpoint,
        encoded,
        len(encoded),
        optional(verifier, "the verifier"),
        byref(count),
        root,
    )
    return Head(count.value, bytes(root))


def verify_file(
    path: str,
    checkpoint: Optional[str] = None,
    verifier: Optional[str] = None,
    *,
    tree_only: bool = False,
) -> Verification:
    """Verify an export of a store, without the store."""
    return verify_with(
        store.audit_verify_file, text(path, "the path"), checkpoint, verifier, tree_only
    )


def verify_with(
    function: Any,
    subject: Any,
    checkpoint: Optional[str],
    verifier: Optional[str],
    tree_only: bool,
) -> Verification:
    options = s.VerifyOptionsStruct(
        verifier=optional(verifier, "the verifier"), tree_only=bool(tree_only)
    )
    if checkpoint is not None:
        encoded = checkpoint.encode()
        options.checkpoint, options.checkpoint_length = encoded, len(encoded)
    result = s.VerifyResultStruct()
    findings: List[str] = []

    def visit(line: bytes) -> None:
        findings.append(words(line))

    with visiting(s.VisitLine, visit) as visitor:
        check(function, subject, byref(options), visitor, None, byref(result))
    return Verification(
        findings,
        result.leaves,
        result.versions,
        result.payloads,
        bytes(result.root),
        result.sealed,
        result.shredded,
    )
