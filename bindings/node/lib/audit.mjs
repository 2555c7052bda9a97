// The audit log, and proofs that nobody has changed it.

import { BrokenError } from './error.mjs';
import { ERR, HANDLE, callLater, callNow, checkText, fromHex, func, hex, koffi, optionalText, pack, packAll, struct } from './native.mjs';
import { number } from './versions.mjs';

const LEAF = struct('flagver_audit_entry', {
  no: 'uint64',
  time: 'int64',
  actor: 'str',
  action: 'str',
  phase: 'str',
  subject: 'str',
  version_no: 'uint32',
  supersedes: 'uint32',
  from: 'int32',
  to: 'int32',
  bits: 'uint32',
  content_hash: koffi.array('uint8', 32),
  leaf_hash: koffi.array('uint8', 32),
  rev: 'int64',
  parent_no: 'uint32',
  base_no: 'uint32',
  reverts_no: 'uint32',
  policy_no: 'uint32',
  policy: 'str',
  rule: 'str',
  idempotency_key: 'str',
  decisions_hash: koffi.array('uint8', 32),
  note_hash: koffi.array('uint8', 32),
});
const PROOF_LIMIT = 128;
const PROOF = struct('flagver_proof', {
  first: 'uint64',
  second: 'uint64',
  count: 'uint32',
  reserved: 'uint32',
  leaf: koffi.array('uint8', 32),
  hashes: koffi.array('uint8', PROOF_LIMIT * 32),
});
const VERIFY = struct('flagver_verify_options', {
  size: 'size_t',
  checkpoint: 'str',
  checkpoint_length: 'size_t',
  verifier: 'str',
  tree_only: 'int32',
  reserved: 'int32',
});
const RESULT = struct('flagver_verify_result', {
  leaves: 'uint64',
  versions: 'uint64',
  payloads: 'uint64',
  findings: 'uint64',
  root: koffi.array('uint8', 32),
  sealed: 'uint64',
  shredded: 'uint64',
});

const VISIT = koffi.pointer(koffi.proto('bool', ['void *', 'void *']));
const FOUND = koffi.pointer(koffi.proto('void', ['void *', 'str']));
const auditLog = func('flagver_audit_log', 'int', [HANDLE, 'uint64', 'uint32', VISIT, HANDLE, HANDLE, ERR]);
const auditHead = func('flagver_audit_head', 'int', [HANDLE, HANDLE, HANDLE, ERR]);
const auditKeygen = func('flagver_audit_keygen', 'int', ['str', HANDLE, HANDLE, ERR]);
const auditCheckpoint = func('flagver_audit_checkpoint', 'int', [HANDLE, 'str', 'str', HANDLE, ERR]);
const auditRead = func('flagver_audit_read_checkpoint', 'int', ['str', 'size_t', 'str', HANDLE, HANDLE, ERR]);
const proveInclusion = func('flagver_audit_prove_inclusion', 'int', [HANDLE, 'uint64', 'uint64', HANDLE, ERR]);
const proveConsistency = func('flagver_audit_prove_consistency', 'int', [HANDLE, 'uint64', 'uint64', HANDLE, ERR]);
const PROVEN = koffi.pointer(PROOF);
const checkInclusion = func('flagver_audit_check_inclusion', 'int', [PROVEN, 'uint8 *', ERR]);
const checkConsistency = func('flagver_audit_check_consistency', 'int', [PROVEN, 'uint8 *', 'uint8 *', ERR]);
const auditVerify = func('flagver_audit_verify', 'int', [HANDLE, koffi.pointer(VERIFY), FOUND, HANDLE, HANDLE, ERR]);
const auditVerifyFile = func('flagver_audit_verify_file', 'int', ['str', koffi.pointer(VERIFY), FOUND, HANDLE, HANDLE, ERR]);

const stateName = func('flagver_state_name', 'str', ['int']);

function leafAt(address) {
  const row = koffi.decode(address, LEAF);
  return {
    no: row.no,
    time: row.time,
    actor: row.actor,
    action: row.action,
    phase: row.phase,
    subject: row.subject,
    versionNo: row.version_no,
    supersedes: row.supersedes || null,
    from: stateName(row.from),
    to: stateName(row.to),
    bits: row.bits,
    rev: row.rev,
    policy: row.policy,
    policyNo: row.policy_no,
    rule: row.rule,
    idempotencyKey: row.idempotency_key,
    contentHash: hex(row.content_hash),
    leafHash: hex(row.leaf_hash),
    noteHash: hex(row.note_hash),
    decisionsHash: hex(row.decisions_hash),
  };
}

function takeProof(frame) {
  const proof = koffi.decode(frame.out, PROOF);
  const hashes = Array.from({ length: proof.count }, (_, i) => hex(proof.hashes.subarray(i * 32, i * 32 + 32)));
  return { first: proof.first, second: proof.second, leaf: hex(proof.leaf), hashes };
}

function proofOf(proof) {
  if (typeof proof !== 'object' || proof === null || !Array.isArray(proof.hashes)) throw new TypeError('that is no proof');
  if (proof.hashes.length > PROOF_LIMIT) throw new RangeError(`a proof has at most ${PROOF_LIMIT} hashes`);
  const hashes = new Uint8Array(PROOF_LIMIT * 32);
  proof.hashes.forEach((hash, i) => hashes.set(fromHex(hash, 'a hash of the proof'), i * 32));
  const row = {
    first: leafNo(proof.first),
    second: leafNo(proof.second),
    count: proof.hashes.length,
    leaf: fromHex(proof.leaf, 'the leaf'),
    hashes,
  };
  return packAll(PROOF, [row]);
}

function leafNo(value) {
  if (typeof value === 'bigint' ? BigInt.asUintN(64, value) !== value : !Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`${String(value)} is no number of leaves`);
  return value;
}

const verifyOf = ({ checkpoint, verifier, treeOnly = false } = {}) =>
  pack(VERIFY, {
    checkpoint: optionalText(checkpoint, 'checkpoint'),
    checkpoint_length: checkpoint ? Buffer.byteLength(checkpoint) : 0,
    verifier: optionalText(verifier, 'verifier'),
    tree_only: treeOnly ? 1 : 0,
  });

/** `args` begins the call; findings are collected as lines. */
function verifyWith(fn, args) {
  const lines = [];
  return callLater(
    fn,
    (f) => [...args, (_, line) => void lines.push(line), 0, f.out, f.err],
    (f) => {
      const { findings, root, ...counts } = koffi.decode(f.out, RESULT);
      return { ...counts, root: hex(root), findings: Number(findings), lines };
    },
  );
}

export class Audit {
  #core;

  constructor(core) {
    this.#core = core;
  }

  /** The change feed: { entries, next }; `next` is what to ask for next time. */
  async log(from = 0, limit = 0) {
    const entries = [];
    let thrown = null;
    const visit = (_, address) => {
      try {
        return entries.push(leafAt(address)) > 0;
      } catch (error) {
        thrown = error;
        return false;
      }
    };
    leafNo(from);
    number(limit, 'limit');
    const next = await this.#core.call(auditLog, (f) => [this.#core.handle, from, limit, visit, 0, f.out, f.err], (f) => f.uint64());
    if (thrown) throw thrown;
    return { entries, next };
  }

  async head() {
    return this.#core.call(
      auditHead,
      (f) => [this.#core.handle, f.out, f.out + 8, f.err],
      (f) => ({ size: f.uint64(), root: hex(f.bytes(8, 32)) }),
    );
  }

  async checkpoint({ origin, signer } = {}) {
    const args = [optionalText(origin, 'origin'), optionalText(signer, 'signer')];
    return this.#core.call(auditCheckpoint, (f) => [this.#core.handle, ...args, f.out, f.err], (f) => f.text());
  }

  async proveInclusion(no, size = 0) {
    const args = [leafNo(no), leafNo(size)];
    return this.#core.call(proveInclusion, (f) => [this.#core.handle, ...args, f.out, f.err], takeProof);
  }

  async proveConsistency(oldSize, size = 0) {
    const args = [leafNo(oldSize), leafNo(size)];
    return this.#core.call(proveConsistency, (f) => [this.#core.handle, ...args, f.out, f.err], takeProof);
  }

  /** Recomputes everything; `lines` says what is wrong, one each. */
  async verify(options) {
    const args = [this.#core.use(), verifyOf(options)];
    return this.#core.read(() => verifyWith(auditVerify, args));
  }
}

/** The same of an export, without any store. */
export async function verifyExport(path, options) {
  return verifyWith(auditVerifyFile, [checkText(path, 'the path'), verifyOf(options)]);
}

export function auditKeys(name) {
  return callNow(
    auditKeygen,
    (f) => [checkText(name, 'the name'), f.out, f.out + 8, f.err],
    (f) => ({ signer: f.text(0), verifier: f.text(8) }),
  );
}

/** What a checkpoint says, when it is well-formed and signed by that key. */
export function readCheckpoint(checkpoint, verifier) {
  checkText(checkpoint, 'the checkpoint');
  return callNow(
    auditRead,
    (f) => [checkpoint, Buffer.byteLength(checkpoint), optionalText(verifier, 'verifier'), f.out, f.out + 8, f.err],
    (f) => ({ size: f.uint64(), root: hex(f.bytes(8, 32)) }),
  );
}

/** Whether a proof proves it. */
function proves(fn, args) {
  try {
    callNow(fn, (f) => [...args, f.err]);
    return true;
  } catch (error) {
    if (error instanceof BrokenError && error.code === 'ECORRUPT') return false;
    throw error;
  }
}

export const provesInclusion = (proof, root) => proves(checkInclusion, [proofOf(proof), fromHex(root, 'the root')]);
export const provesConsistency = (proof, oldRoot, root) =>
  proves(checkConsistency, [proofOf(proof), fromHex(oldRoot, 'the old root'), fromHex(root, 'the root')]);
