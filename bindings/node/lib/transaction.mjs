// Transactions: every write to a store happens in one.
//
// Calls of one transaction are made one after the other, also when they are not awaited. They are not
// queued behind other transactions: those have not begun.

import { ACTOR, actorOf } from './actor.mjs';
import { closed } from './error.mjs';
import { ERR, HANDLE, callLater, checkInteger, checkText, fromHex, func, koffi, micros, optionalText, pack, packAll, packTexts, toJson, struct } from './native.mjs';
import { Turn } from './queue.mjs';
import { number, phaseText, statusNumber, subjectText, takeVersion } from './versions.mjs';

const OPTIONS = struct('flagver_txn_options', { size: 'size_t', idempotency_key: 'str', timeout_ms: 'int32', reserved: 'int32' });
const WRITE = struct('flagver_write_options', {
  size: 'size_t',
  note: 'str',
  expect_no: 'uint32',
  flags: 'uint32',
  content_hash: 'uint8 *',
  parent_no: 'uint32',
  baseline_no: 'uint32',
});
const CONTENT = struct('flagver_item_content', { key: 'str', json: 'str', length: 'size_t' });

const txnBegin = func('flagver_txn_begin', 'int', [HANDLE, koffi.pointer(ACTOR), koffi.pointer(OPTIONS), HANDLE, ERR]);
const txnCommit = func('flagver_txn_commit', 'int', [HANDLE, ERR]);
const txnFree = func('flagver_txn_free', 'void', [HANDLE]);
const txnLock = func('flagver_txn_lock', 'int', [HANDLE, 'str', 'str *', 'size_t', ERR]);

const WRITTEN = koffi.pointer(WRITE);
const withPayload = (name) => func(name, 'int', [HANDLE, 'str', 'str', 'str', 'size_t', WRITTEN, HANDLE, ERR]);
const withNo = (name) => func(name, 'int', [HANDLE, 'str', 'str', 'uint32', WRITTEN, HANDLE, ERR]);
const assigning = (name) => func(name, 'int', [HANDLE, 'str', 'str', 'str', WRITTEN, HANDLE, ERR]);

const native = {
  create: withPayload('flagver_version_create'),
  put: withPayload('flagver_version_put'),
  record: withPayload('flagver_version_record'),
  edit: func('flagver_version_edit', 'int', [HANDLE, 'str', 'str', 'uint32', 'str', 'size_t', WRITTEN, HANDLE, ERR]),
  remove: func('flagver_version_remove', 'int', [HANDLE, 'str', 'str', WRITTEN, HANDLE, ERR]),
  submit: withNo('flagver_version_submit'),
  rebase: withNo('flagver_version_rebase'),
  return: withNo('flagver_version_return'),
  approve: withNo('flagver_version_approve'),
  reject: withNo('flagver_version_reject'),
  withdraw: withNo('flagver_version_withdraw'),
  revert: withNo('flagver_version_revert'),
  review: withNo('flagver_version_review'),
  assign: assigning('flagver_assign'),
  unassign: assigning('flagver_unassign'),
  itemsPut: func('flagver_items_put', 'int', [HANDLE, 'str', 'str', 'uint32', koffi.pointer(CONTENT), 'size_t', WRITTEN, HANDLE, ERR]),
  itemsRemove: func('flagver_items_remove', 'int', [HANDLE, 'str', 'str', 'uint32', 'str *', 'size_t', WRITTEN, HANDLE, ERR]),
  itemsDecide: func('flagver_items_decide', 'int', [HANDLE, 'str', 'str', 'uint32', 'str *', 'size_t', 'int32', WRITTEN, HANDLE, ERR]),
  shred: func('flagver_version_shred', 'int', [HANDLE, 'str', 'str', 'uint32', 'str', ERR]),
  retain: func('flagver_retain', 'int', [HANDLE, 'str', 'str', 'int64', 'str', HANDLE, ERR]),
};

const flagPayload = (name) => func(name, 'int', [HANDLE, 'str', 'str', 'size_t', WRITTEN, HANDLE, ERR]);
const flagOnly = (name) => func(name, 'int', [HANDLE, 'str', WRITTEN, HANDLE, ERR]);
const flagUsers = (name) => func(name, 'int', [HANDLE, 'str', 'str *', 'size_t', WRITTEN, HANDLE, ERR]);
const flagNo = (name) => func(name, 'int', [HANDLE, 'str', 'uint32', WRITTEN, HANDLE, ERR]);

const flags = {
  put: flagPayload('flagver_flag_put'),
  enable: flagOnly('flagver_flag_enable'),
  disable: flagOnly('flagver_flag_disable'),
  ramp: func('flagver_flag_ramp', 'int', [HANDLE, 'str', 'double', WRITTEN, HANDLE, ERR]),
  release: flagOnly('flagver_flag_release'),
  betaAdd: flagUsers('flagver_flag_beta_add'),
  betaRemove: flagUsers('flagver_flag_beta_remove'),
  schedule: flagPayload('flagver_flag_schedule'),
  revert: flagNo('flagver_flag_revert'),
  delete: flagOnly('flagver_flag_delete'),
  apply: func('flagver_flags_apply', 'int', [HANDLE, 'str', 'size_t', 'str', 'bool', WRITTEN, ERR]),
};
const segments = {
  put: flagPayload('flagver_segment_put'),
  revert: flagNo('flagver_segment_revert'),
  delete: flagOnly('flagver_segment_delete'),
};

const ids = {
  put: func('flagver_idmap_put', 'int', [HANDLE, 'str', 'str', 'str', ERR]),
  new: func('flagver_idmap_new', 'int', [HANDLE, 'str', 'str', 'str', HANDLE, ERR]),
  remove: func('flagver_idmap_remove', 'int', [HANDLE, 'str', 'str', ERR]),
  get: func('flagver_idmap_get_in', 'int', [HANDLE, 'str', 'str', HANDLE, ERR]),
  getOld: func('flagver_idmap_get_old_in', 'int', [HANDLE, 'str', 'str', HANDLE, ERR]),
};

const EXPECT_NONE = 0xffffffff;
const SUBMIT = 1;
const EMERGENCY = 2;

/** A write's options as the library wants them. */
function writeOf(options = {}) {
  if (typeof options === 'string') options = { note: options };
  return pack(WRITE, {
    note: optionalText(options.note, 'the note'),
    expect_no: options.expect === 'none' ? EXPECT_NONE : number(options.expect ?? 0, 'expect'),
    flags: (options.submit ? SUBMIT : 0) | (options.emergency ? EMERGENCY : 0),
    content_hash: options.contentHash === undefined ? null : fromHex(options.contentHash, 'contentHash'),
    parent_no: number(options.parent ?? 0, 'parent'),
    baseline_no: number(options.baseline ?? 0, 'baseline'),
  });
}

const keyText = (key) => checkText(key, 'the key');

/** JSON text is taken as it is where `text` says so; everything else is made JSON. */
const payloadText = (payload, what = 'the payload') => (payload instanceof JsonText ? payload.text : toJson(payload, what));

/** A payload that is JSON text already. */
export class JsonText {
  constructor(text) {
    this.text = checkText(text, 'the JSON text');
  }
}

function textsOf(values, what) {
  if (!Array.isArray(values)) throw new TypeError(`${what} are an array of strings`);
  return values.map((value) => checkText(value, what));
}

/** So long a transaction may stay open where nobody says anything else. */
const TIMEOUT_MS = 30000;

/** What frees a transaction; the object is in nobody's hands any more, or is not needed. */
class TxnCore {
  constructor(core, handle, leave, timeoutMs) {
    this.core = core;
    this.handle = handle;
    this.leave = leave;
    this.turn = new Turn();
    this.ended = null;
    // The library rolls back what has been forgotten, for the next one who begins.
    this.timer = timeoutMs < 0 ? undefined : setTimeout(leave, timeoutMs || TIMEOUT_MS).unref();
  }

  call(fn, args, use) {
    return this.turn.take(() => {
      if (this.ended) throw closed('transaction');
      return this.core.during(() => callLater(fn, (f) => [this.handle, ...args(f), f.err], use));
    });
  }

  commit() {
    return this.turn.take(async () => {
      if (this.ended) throw closed('transaction');
      await this.core.during(() => callLater(txnCommit, (f) => [this.handle, f.err]));
    });
  }

  /** At the end of the process, when no call is under way: at once. */
  drop() {
    this.core.children.delete(this);
    txnFree(this.handle);
  }

  /** Frees it, which rolls back what is not committed. */
  end() {
    this.ended ??= this.turn.take(() => this.core.calls.during(() => this.#free()));
    return this.ended;
  }

  async #free() {
    await callLater(txnFree, () => [this.handle]);
    this.core.children.delete(this);
    clearTimeout(this.timer);
    this.leave();
  }
}

const lost = new FinalizationRegistry((core) => core.end().catch(() => {}));

let construct;

export async function beginTransaction(core, client, actor, options = {}) {
  const timeout = checkInteger(options.timeoutMs ?? 0, 'timeoutMs', -1, 2147483647);
  const native = pack(OPTIONS, {
    idempotency_key: optionalText(options.idempotencyKey, 'idempotencyKey'),
    timeout_ms: timeout,
  });
  const who = actorOf(actor);
  core.use();
  const leave = await core.lane.enter(core.waitMs, timeout || TIMEOUT_MS);
  try {
    // It is the client's before the call is over: one that is being closed ends it, too.
    const made = (f) => new Transaction(construct, new TxnCore(core, f.handle(), leave, timeout), client);
    return await core.call(txnBegin, (f) => [core.handle, who, native, f.out, f.err], made);
  } catch (error) {
    leave();
    throw error;
  }
}

export class Transaction {
  #txn;
  #client; // is not forgotten before its transaction

  constructor(token, txn, client) {
    if (token !== construct) throw new TypeError('a transaction is begun by client.begin()');
    this.#txn = txn;
    this.#client = client;
    txn.core.children.add(txn);
    lost.register(this, txn, this);

    const number_ = (fn, args) => txn.call(fn, (f) => [...args, f.out], (f) => f.uint32());
    this.flags = new FlagWriter(txn, number_);
    this.segments = new SegmentWriter(number_);
    this.versions = new VersionWriter(txn, number_);
    this.items = new ItemWriter(txn);
    this.ids = new IdWriter(txn);
  }

  get client() {
    return this.#client;
  }

  /** It has ended when this returns or throws. */
  async commit() {
    try {
      await this.#txn.commit();
    } finally {
      await this.rollback();
    }
  }

  /** Ends it; what is not committed never was. Does nothing where it has ended. */
  async rollback() {
    lost.unregister(this);
    await this.#txn.end();
  }

  async lock(phase, subjects) {
    const texts = textsOf(subjects, 'subjects');
    await this.#txn.call(txnLock, () => [phaseText(phase), packTexts(texts), texts.length]);
  }

  static use(txn) {
    return txn.#txn;
  }
}

/** For calls of other modules inside of a transaction. */
export const { use: useTransaction } = Transaction;
delete Transaction.use;

construct = Symbol('begun');

/** Changes of flags; each resolves with the number of the version that it has made. */
class FlagWriter {
  #txn;
  #number;

  constructor(txn, number_) {
    this.#txn = txn;
    this.#number = number_;
  }

  async put(key, definition, options) {
    const text = payloadText(definition, 'the definition');
    return this.#number(flags.put, [keyText(key), text, Buffer.byteLength(text), writeOf(options)]);
  }

  async enable(key, options) {
    return this.#number(flags.enable, [keyText(key), writeOf(options)]);
  }

  async disable(key, options) {
    return this.#number(flags.disable, [keyText(key), writeOf(options)]);
  }

  async ramp(key, percentage, options) {
    if (typeof percentage !== 'number') throw new TypeError('the percentage is no number');
    return this.#number(flags.ramp, [keyText(key), percentage, writeOf(options)]);
  }

  async release(key, options) {
    return this.#number(flags.release, [keyText(key), writeOf(options)]);
  }

  async betaAdd(key, users, options) {
    const texts = textsOf(users, 'users');
    return this.#number(flags.betaAdd, [keyText(key), packTexts(texts), texts.length, writeOf(options)]);
  }

  async betaRemove(key, users, options) {
    const texts = textsOf(users, 'users');
    return this.#number(flags.betaRemove, [keyText(key), packTexts(texts), texts.length, writeOf(options)]);
  }

  /** null takes the schedule away. */
  async schedule(key, schedule, options) {
    const text = schedule === null ? null : payloadText(schedule, 'the schedule');
    return this.#number(flags.schedule, [keyText(key), text, text === null ? 0 : Buffer.byteLength(text), writeOf(options)]);
  }

  async revert(key, no, options) {
    return this.#number(flags.revert, [keyText(key), number(no, 'the number'), writeOf(options)]);
  }

  async delete(key, options) {
    return this.#number(flags.delete, [keyText(key), writeOf(options)]);
  }

  /** A definitions file, as an object or JsonText: all of it or nothing. Resolves with the number of steps. */
  async apply(definitions, { prune = false, name, ...options } = {}) {
    const text = payloadText(definitions, 'definitions');
    return this.#txn.call(flags.apply, () => [text, Buffer.byteLength(text), optionalText(name, 'name'), prune, writeOf(options)]);
  }
}

class SegmentWriter {
  #number;

  constructor(number_) {
    this.#number = number_;
  }

  async put(name, segment, options) {
    const text = payloadText(segment, 'the segment');
    return this.#number(segments.put, [keyText(name), text, Buffer.byteLength(text), writeOf(options)]);
  }

  async revert(name, no, options) {
    return this.#number(segments.revert, [keyText(name), number(no, 'the number'), writeOf(options)]);
  }

  async delete(name, options) {
    return this.#number(segments.delete, [keyText(name), writeOf(options)]);
  }
}

/** Changes of records; each resolves with the version that it has made. */
class VersionWriter {
  #txn;
  #number;

  constructor(txn, number_) {
    this.#txn = txn;
    this.#number = number_;
  }

  #version(fn, args) {
    return this.#txn.call(fn, (f) => (f.view.setBigUint64(0, 0n), [...args, f.out]), takeVersion);
  }

  #withPayload(fn, phase, subject, payload, options) {
    const text = payloadText(payload);
    return this.#version(fn, [phaseText(phase), subjectText(subject), text, Buffer.byteLength(text), writeOf(options)]);
  }

  #withNo(fn, phase, subject, no, options) {
    return this.#version(fn, [phaseText(phase), subjectText(subject), number(no, 'the number'), writeOf(options)]);
  }

  async create(phase, subject, payload, options) {
    return this.#withPayload(native.create, phase, subject, payload, options);
  }

  async put(phase, subject, payload, options) {
    return this.#withPayload(native.put, phase, subject, payload, options);
  }

  async record(phase, subject, payload, options) {
    return this.#withPayload(native.record, phase, subject, payload, options);
  }

  async edit(phase, subject, no, payload, options) {
    const text = payloadText(payload);
    return this.#version(native.edit, [
      phaseText(phase),
      subjectText(subject),
      number(no, 'the number'),
      text,
      Buffer.byteLength(text),
      writeOf(options),
    ]);
  }

  async submit(phase, subject, no, options) {
    return this.#withNo(native.submit, phase, subject, no, options);
  }

  async rebase(phase, subject, no, options) {
    return this.#withNo(native.rebase, phase, subject, no, options);
  }

  async return(phase, subject, no, options) {
    return this.#withNo(native.return, phase, subject, no, options);
  }

  async approve(phase, subject, no, options) {
    return this.#withNo(native.approve, phase, subject, no, options);
  }

  async reject(phase, subject, no, options) {
    return this.#withNo(native.reject, phase, subject, no, options);
  }

  async withdraw(phase, subject, no, options) {
    return this.#withNo(native.withdraw, phase, subject, no, options);
  }

  async revert(phase, subject, no, options) {
    return this.#withNo(native.revert, phase, subject, no, options);
  }

  async review(phase, subject, no, options) {
    return this.#withNo(native.review, phase, subject, no, options);
  }

  async remove(phase, subject, options) {
    return this.#version(native.remove, [phaseText(phase), subjectText(subject), writeOf(options)]);
  }

  /** Forgets a payload for good. */
  async shred(phase, subject, no, note) {
    const args = [phaseText(phase), subjectText(subject), number(no, 'the number'), optionalText(note, 'the note')];
    await this.#txn.call(native.shred, () => args);
  }

  /** Shreds what is out of force and older than that; how many there were. */
  async retain(phase, prefix, before, note) {
    const args = [phaseText(phase), optionalText(prefix, 'the prefix'), micros(before), optionalText(note, 'the note')];
    return this.#txn.call(native.retain, (f) => [...args, f.out], (f) => f.uint64());
  }

  async assign(role, subject, user, options) {
    return this.#number(native.assign, [checkText(role, 'the role'), subjectText(subject), checkText(user, 'the user'), writeOf(options)]);
  }

  async unassign(role, subject, user, options) {
    return this.#number(native.unassign, [checkText(role, 'the role'), subjectText(subject), checkText(user, 'the user'), writeOf(options)]);
  }
}

/** Parts of a version that are decided one by one. */
class ItemWriter {
  #txn;

  constructor(txn) {
    this.#txn = txn;
  }

  #version(fn, phase, subject, no, args) {
    const all = [phaseText(phase), subjectText(subject), number(no, 'the number'), ...args];
    return this.#txn.call(fn, (f) => (f.view.setBigUint64(0, 0n), [...all, f.out]), takeVersion);
  }

  /** `items` is an object: key → payload. */
  async put(phase, subject, no, items, options) {
    const contents = Object.entries(items).map(([key, payload]) => {
      const json = payloadText(payload);
      return { key: keyText(key), json, length: Buffer.byteLength(json) };
    });
    return this.#version(native.itemsPut, phase, subject, no, [packAll(CONTENT, contents), contents.length, writeOf(options)]);
  }

  async remove(phase, subject, no, keys, options) {
    const texts = textsOf(keys, 'keys');
    return this.#version(native.itemsRemove, phase, subject, no, [packTexts(texts), texts.length, writeOf(options)]);
  }

  async decide(phase, subject, no, keys, status, options) {
    const texts = textsOf(keys, 'keys');
    return this.#version(native.itemsDecide, phase, subject, no, [packTexts(texts), texts.length, statusNumber(status), writeOf(options)]);
  }
}

class IdWriter {
  #txn;

  constructor(txn) {
    this.#txn = txn;
  }

  async put(entity, oldId, newId) {
    const args = [checkText(entity, 'the entity'), checkText(oldId, 'the old id'), checkText(newId, 'the new id')];
    await this.#txn.call(ids.put, () => args);
  }

  /** What the old id is mapped to; where it is not, it is mapped now. */
  async new(entity, oldId, newId) {
    const args = [checkText(entity, 'the entity'), checkText(oldId, 'the old id'), optionalText(newId, 'the new id')];
    return this.#txn.call(ids.new, (f) => [...args, f.out], (f) => f.string());
  }

  async remove(entity, oldId) {
    const args = [checkText(entity, 'the entity'), checkText(oldId, 'the old id')];
    await this.#txn.call(ids.remove, () => args);
  }

  async get(entity, oldId) {
    const args = [checkText(entity, 'the entity'), checkText(oldId, 'the old id')];
    return this.#txn.call(ids.get, (f) => [...args, f.out], (f) => f.string());
  }

  async getOld(entity, newId) {
    const args = [checkText(entity, 'the entity'), checkText(newId, 'the new id')];
    return this.#txn.call(ids.getOld, (f) => [...args, f.out], (f) => f.string());
  }
}
