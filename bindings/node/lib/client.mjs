// The client: opening, closing, the state of its flags, and the way to everything else.

import { BOOL, DOUBLE, FlagState, INT, JSON_TYPE, STRING, bind, detailAt, evaluateByKey, evaluateOnSnapshot } from './flag.mjs';
import { missing, typeNumber, withFallback } from './flag.mjs';
import { nativeContext, withContextsLocked } from './context.mjs';
import { RetryError, UnknownOutcomeError, closed } from './error.mjs';
import { ERR, HANDLE, VISIT, callLater, callNow, checkFunction, checkInteger, checkText, func, koffi } from './native.mjs';
import { micros, narrow, optionalText, sizeOf, struct, toJson, visitor } from './native.mjs';
import { Calls, asWriter, gateOf } from './queue.mjs';
import { ACTOR, actorOf } from './actor.mjs';
import { Versions } from './versions.mjs';
import { beginTransaction } from './transaction.mjs';
import { Audit } from './audit.mjs';
import { Ids } from './ids.mjs';
import { FlagStore } from './rollout.mjs';
import { Migrations, openRoute } from './route.mjs';
import { Tracking } from './track.mjs';

const OPTIONS = struct('flagver_options', {
  size: 'size_t',
  allocator: HANDLE,
  clock: HANDLE,
  clock_data: HANDLE,
  log: HANDLE,
  log_data: HANDLE,
  hook: HANDLE,
  no_environment: 'int32',
  background: 'int32',
  tenant: 'str',
  cache_file: 'str',
  wait_ms: 'int32',
  poll_ms: 'int32',
  authorize: HANDLE,
  authorize_data: HANDLE,
  key: HANDLE,
  key_data: HANDLE,
  key_file: 'str',
  flush_ms: 'int32',
  reserved: 'int32',
  guardian: koffi.pointer(ACTOR),
  alert: HANDLE,
  alert_data: HANDLE,
});

const clientOpen = func('flagver_open', 'int', ['str', koffi.pointer(OPTIONS), HANDLE, ERR]);
const clientClose = func('flagver_close', 'void', [HANDLE]);
const clientRefresh = func('flagver_client_refresh', 'int', [HANDLE, ERR]);
const clientLoad = func('flagver_client_load', 'int', [HANDLE, 'str', 'size_t', ERR]);
const clientMerge = func('flagver_client_merge', 'int', [HANDLE, 'str', 'size_t', ERR]);
const clientWord = func('flagver_client_generation_word', HANDLE, [HANDLE]);
const clientTenant = func('flagver_client_tenant', 'int', [HANDLE, 'str', HANDLE, ERR]);
const clientReopen = func('flagver_client_reopen', 'int', [HANDLE, ERR]);
const clientHealth = func('flagver_client_health', 'int', [HANDLE, HANDLE, ERR]);
const clientSnapshot = func('flagver_client_snapshot', HANDLE, [HANDLE]);
const snapshotAt = func('flagver_snapshot_at', 'int', [HANDLE, 'int64', HANDLE, ERR]);
const snapshotFree = func('flagver_snapshot_free', 'void', [HANDLE]);
const snapshotSize = func('flagver_snapshot_size', 'size_t', [HANDLE]);
const snapshotExplain = func('flagver_snapshot_explain', 'int', [HANDLE, 'str', 'size_t', HANDLE, HANDLE, ERR]);
const KEYS = koffi.pointer(koffi.proto('void', ['void *', 'void *', 'size_t']));
const snapshotChanges = func('flagver_snapshot_changes', 'int', [HANDLE, HANDLE, KEYS, HANDLE, ERR]);
const flagAll = func('flagver_flag_all', 'size_t', [HANDLE, HANDLE, VISIT, HANDLE]);
const CLOCK = koffi.pointer(koffi.proto('int64', ['void *']));
const COUNT = koffi.pointer(koffi.proto('void', ['void *', 'str', 'str', 'uint64']));
const flagCounts = func('flagver_flag_counts', 'int', [HANDLE, COUNT, HANDLE, ERR]);
const flagExplain = func('flagver_flag_explain', 'int', [HANDLE, 'str', 'size_t', HANDLE, HANDLE, ERR]);
const flagOverride = func('flagver_flag_override', 'int', [HANDLE, 'str', 'str', ERR]);
const lint = func('flagver_definitions_lint', 'int', ['str', 'size_t', 'str', visitor('void', 1), HANDLE, ERR]);

const WAIT_MS = 5000;
const LISTEN_MS = 100;
const TRIES = 10;

// Keys that were asked for by name are bound, up to so many; others are looked up each time.
const BOUND_LIMIT = 100000;

function optionsOf(options) {
  const known = new Set(['background', 'tenant', 'cacheFile', 'waitMs', 'pollMs', 'keyFile', 'flushMs', 'guardian', 'environment', 'clock']);
  for (const name of Object.keys(options)) if (!known.has(name)) throw new TypeError(`there is no option ${name}`);
  const { background = true, environment = true, tenant, cacheFile, keyFile, guardian } = options;
  const ms = (name) => checkInteger(options[name] ?? 0, name, 0, 2147483647);

  return {
    size: sizeOf(OPTIONS),
    no_environment: environment ? 0 : 1,
    background: background ? 1 : 0,
    tenant: optionalText(tenant, 'tenant'),
    cache_file: optionalText(cacheFile, 'cacheFile'),
    wait_ms: ms('waitMs'),
    poll_ms: ms('pollMs'),
    key_file: optionalText(keyFile, 'keyFile'),
    flush_ms: ms('flushMs'),
    guardian: guardian === undefined || guardian === null ? null : actorOf(guardian),
    ...ZEROS,
  };
}

const ZEROS = Object.fromEntries(
  ['allocator', 'clock', 'clock_data', 'log', 'log_data', 'hook', 'authorize', 'authorize_data', 'key', 'key_data', 'reserved', 'alert', 'alert_data'].map((name) => [name, 0]),
);

/**
 * What is to be closed in the end, also when nobody has kept the client: it outlives the object, and
 * does not point to it.
 */
class Core {
  constructor(handle, uri, waitMs, clock) {
    this.handle = handle;
    this.clock = clock; // a callback, or null
    this.uri = uri;
    this.waitMs = waitMs || WAIT_MS;
    this.lane = gateOf(uri);
    this.children = new Set(); // transactions and routes, which end before the client does
    this.calls = new Calls();
    this.closing = null;
    this.freed = false;
    this.state = new FlagState(handle, clientWord(handle));
  }

  use() {
    if (this.closing) throw closed('client');
    return this.handle;
  }

  /** A call on another thread. */
  async call(fn, args, use) {
    return this.read(() => callLater(fn, args, use));
  }

  /** Whatever is done with the handle on other threads: closing waits for it. */
  async during(run) {
    this.use();
    return this.calls.during(run);
  }

  /** What reads the store. In one that is in memory readers wait for the writer. */
  read(run) {
    return this.uri === 'memory:' ? this.write('a read', run) : this.during(run);
  }

  /** What may wait for the writer. */
  write(what, run) {
    return this.during(() => asWriter(this.waitMs, what, run, this.lane.places));
  }

  close() {
    this.closing ??= this.#end();
    return this.closing;
  }

  async #end() {
    this.state.close();
    // A getter of a context, or a clock, may close the client in the middle of a call on this thread.
    await null;
    while (this.children.size > 0 || this.calls.any) {
      for (const child of this.children) await child.end();
      await this.calls.none();
    }
    await this.lane.last(() => this.#free());
    this.handle = 0;
    if (this.clock) koffi.unregister(this.clock);
    this.lane.drop();
    open.delete(this);
  }

  #free() {
    this.freed = true;
    return callLater(clientClose, () => [this.handle]);
  }
}

const open = new Set();

// What was tracked is flushed by closing. Calls that are under way are left to the process's end.
process.on('exit', () => {
  for (const core of open) {
    if (core.freed || core.calls.any) continue;
    for (const child of core.children) child.drop?.();
    if (core.children.size > 0) continue;
    core.closing ??= Promise.resolve();
    core.freed = true;
    core.state.close();
    clientClose(core.handle);
  }
});

const lostClients = new FinalizationRegistry((core) => core.close().catch(() => {}));
const lostSnapshots = new FinalizationRegistry((handle) => snapshotFree(handle));

let construct;

/** The clients of their parts: who holds one of these holds the client. */
const owners = new WeakMap();

export class Client {
  #core;
  #flags = new Map();
  #listeners = new Set();
  #seen = 0; // the snapshot that listeners know
  #timer = null;

  constructor(token, core) {
    if (token !== construct) throw new TypeError('a client is opened by open()');
    this.#core = core;
    this.versions = new Versions(core);
    this.flags = new FlagStore(core);
    this.audit = new Audit(core);
    this.ids = new Ids(core);
    this.tracking = new Tracking(core);
    this.migrations = new Migrations(core);
    for (const part of [this.versions, this.flags, this.audit, this.ids, this.tracking, this.migrations]) owners.set(part, this);
    open.add(core);
    lostClients.register(this, core, this);
  }

  /** Nothing is under way any more, and everything that was of this client is freed, when it resolves. */
  async close() {
    clearInterval(this.#timer);
    this.#timer = null;
    this.#listeners.clear();
    this.#forgetSeen();
    lostClients.unregister(this);
    this.#flags.clear();
    await this.#core.close();
  }

  get closed() {
    return this.#core.closing !== null;
  }

  // ---- flags ----

  bind(key) {
    checkText(key, 'the key');
    const flag = this.#flag(key);
    if (!flag) throw new RangeError('a key is 1 to 256 bytes long');
    return flag;
  }

  /** Bound when it is asked for the first time; null where no flag can be. */
  #flag(key) {
    const known = this.#flags.get(key);
    if (known) return known;
    if (typeof key !== 'string') throw new TypeError(`the key is no string but ${key === null ? 'null' : typeof key}`);
    this.#core.use();
    if (this.#flags.size >= BOUND_LIMIT) return null;
    const flag = bind(this.#core.state, key, this);
    if (flag) this.#flags.set(key, flag);
    return flag;
  }

  bool(key, context, fallback = false) {
    return this.#flag(key)?.bool(context, fallback) ?? this.#unbound(key, context, BOOL, fallback).value;
  }

  int(key, context, fallback = 0) {
    return this.#flag(key)?.int(context, fallback) ?? this.#unbound(key, context, INT, fallback).value;
  }

  double(key, context, fallback = 0) {
    return this.#flag(key)?.double(context, fallback) ?? this.#unbound(key, context, DOUBLE, fallback).value;
  }

  string(key, context, fallback = '') {
    const flag = this.#flag(key);
    return flag ? flag.string(context, fallback) : this.#unbound(key, context, STRING, fallback).value;
  }

  json(key, context, fallback = null) {
    const flag = this.#flag(key);
    return flag ? flag.json(context, fallback) : this.#unbound(key, context, JSON_TYPE, fallback).value;
  }

  boolDetail(key, context, fallback = false) {
    return this.#flag(key)?.boolDetail(context, fallback) ?? this.#unbound(key, context, BOOL, fallback);
  }

  intDetail(key, context, fallback = 0) {
    return this.#flag(key)?.intDetail(context, fallback) ?? this.#unbound(key, context, INT, fallback);
  }

  doubleDetail(key, context, fallback = 0) {
    return this.#flag(key)?.doubleDetail(context, fallback) ?? this.#unbound(key, context, DOUBLE, fallback);
  }

  stringDetail(key, context, fallback = '') {
    return this.#flag(key)?.stringDetail(context, fallback) ?? this.#unbound(key, context, STRING, fallback);
  }

  jsonDetail(key, context, fallback = null) {
    return this.#flag(key)?.jsonDetail(context, fallback) ?? this.#unbound(key, context, JSON_TYPE, fallback);
  }

  evaluate(key, context, type) {
    return this.#flag(key)?.evaluate(context, type) ?? this.#evaluateByKey(key, context, typeNumber(type));
  }

  #unbound(key, context, type, fallback) {
    return withFallback(this.#evaluateByKey(key, context, type), type, fallback);
  }

  #evaluateByKey(key, context, type) {
    return key.includes('\0') ? missing(key) : evaluateByKey(this.#core.state, key, context, type);
  }

  /** All flags for one context, in byte order of their keys, of one state of the flags. */
  all(context) {
    const details = [];
    const native = nativeContext(context);
    flagAll(this.#core.use(), native, (_, address) => details.push(detailAt(address)) > 0, 0);
    return details;
  }

  counts() {
    const counts = [];
    this.#core.use();
    this.#core.state.tell();
    callNow(flagCounts, (f) => [this.#core.use(), (_, flag, variant, count) => void counts.push({ flag, variant, count: narrow(count) }), 0, f.err]);
    return counts;
  }

  /** Serve this variant to everyone in this process; null takes it back. */
  override(key, variant) {
    callNow(flagOverride, (f) => [this.#core.use(), checkText(key, 'the key'), optionalText(variant, 'the variant'), f.err]);
  }

  explain(key, context) {
    return explain(flagExplain, () => this.#core.use(), key, context);
  }

  // ---- where flags come from ----

  /** Definitions for a "definitions:" client, an object or JSON text. */
  load(definitions) {
    loadInto(clientLoad, this.#core.use(), definitions);
  }

  merge(definitions) {
    loadInto(clientMerge, this.#core.use(), definitions);
  }

  async refresh() {
    await this.#core.call(clientRefresh, (f) => [this.#core.handle, f.err]);
  }

  async reopen() {
    await this.#core.call(clientReopen, (f) => [this.#core.handle, f.err]);
  }

  async tenant(name) {
    checkText(name, 'the tenant');
    const handle = await this.#core.call(clientTenant, (f) => [this.#core.handle, name, f.out, f.err], (f) => f.handle());
    return new Client(construct, new Core(handle, this.#core.uri, this.#core.waitMs, null));
  }

  health() {
    return JSON.parse(callNow(clientHealth, (f) => [this.#core.use(), f.out, f.err], (f) => f.text()));
  }

  /** A number that changes with every state of the flags. */
  get generation() {
    this.#core.use();
    const { words } = this.#core.state;
    return (words[0] >>> 0) + (words[1] >>> 0) * 0x100000000;
  }

  /** All flags as they are now. */
  snapshot() {
    return new Snapshot(construct, clientSnapshot(this.#core.use()));
  }

  /** All flags as they were then. */
  async snapshotAt(time) {
    const then = micros(time);
    const handle = await this.#core.call(snapshotAt, (f) => [this.#core.handle, then, f.out, f.err], (f) => f.handle());
    return new Snapshot(construct, handle);
  }

  /**
   * Be told when flags change: `changed` is called with the keys of those that may answer differently. Returns a
   * function that ends it. It does not keep the process alive.
   */
  listen(changed) {
    checkFunction(changed, 'the listener');
    this.#core.use();
    const listener = { changed };
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) {
      this.#seen = clientSnapshot(this.#core.handle);
      this.#seenAt = this.generation;
      this.#timer = setInterval(() => this.#look(), LISTEN_MS).unref();
    }
    return () => this.#unlisten(listener);
  }

  #seenAt = 0;

  #unlisten(listener) {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = null;
    this.#forgetSeen();
  }

  #forgetSeen() {
    if (this.#seen) snapshotFree(this.#seen);
    this.#seen = 0;
  }

  #look() {
    if (this.#core.closing || this.generation === this.#seenAt) return;
    this.#seenAt = this.generation;
    const before = this.#seen;
    const after = clientSnapshot(this.#core.handle);
    const keys = [];
    try {
      callNow(snapshotChanges, (f) => [before, after, (_, texts, count) => void keys.push(...stringsAt(texts, Number(count))), 0, f.err]);
    } finally {
      this.#seen = after;
      snapshotFree(before);
    }
    if (keys.length > 0) for (const { changed } of [...this.#listeners]) this.#tell(changed, keys);
  }

  #tell(changed, keys) {
    try {
      changed([...keys]);
    } catch (error) {
      // As an event's handler would: it must not keep others from being told.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  // ---- writing ----

  /** A transaction, to be ended by commit() or rollback(). */
  begin(actor, options) {
    return beginTransaction(this.#core, this, actor, options);
  }

  /**
   * Runs `run(transaction)` and commits; both again, up to 10 times in all with growing pauses, after errors of
   * class RetryError, and with an idempotency key also after an UnknownOutcomeError.
   */
  async transaction(actor, run, options = {}) {
    checkFunction(run, 'the body of a transaction');
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#runOnce(actor, run, options);
      } catch (error) {
        const again = error instanceof RetryError || (error instanceof UnknownOutcomeError && options.idempotencyKey);
        if (!again || attempt === TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.min(2 ** (attempt - 1), 64) * (0.5 + Math.random() / 2)));
      }
    }
  }

  async #runOnce(actor, run, options) {
    const txn = await this.begin(actor, options);
    try {
      const result = await run(txn);
      await txn.commit();
      return result;
    } finally {
      await txn.rollback();
    }
  }

  // ---- routes ----

  route(migration, options) {
    return openRoute(this.#core, this, migration, options);
  }

  // ---- tracking ----

  /** Something happened that flags are measured by. */
  track(event, context, value = 1) {
    this.tracking.event(event, context, value);
  }

}

construct = Symbol('opened');

const stringsAt = (address, count) => (count ? koffi.decode(address, koffi.array('str', count)) : []);

function explain(fn, use, key, context) {
  checkText(key, 'the key');
  const native = nativeContext(context); // its getters may close what is asked
  return JSON.parse(callNow(fn, (f) => [use(), key, Buffer.byteLength(key), native, f.out, f.err], (f) => f.text()));
}

const jsonText = (value, what) => (typeof value === 'string' ? value : toJson(value, what));

function loadInto(fn, handle, definitions) {
  const text = jsonText(definitions, 'definitions');
  callNow(fn, (f) => [handle, text, Buffer.byteLength(text), f.err]);
}

/** All flags as they were at one moment. */
export class Snapshot {
  #handle;

  constructor(token, handle) {
    if (token !== construct) throw new TypeError('a snapshot is taken by client.snapshot()');
    this.#handle = handle;
    lostSnapshots.register(this, handle, this);
  }

  #use() {
    if (!this.#handle) throw closed('snapshot');
    return this.#handle;
  }

  get size() {
    return Number(snapshotSize(this.#use()));
  }

  evaluate(key, context, type) {
    return evaluateOnSnapshot(() => this.#use(), key, context, typeNumber(type));
  }

  explain(key, context) {
    return explain(snapshotExplain, () => this.#use(), key, context);
  }

  /** Sooner than by itself. */
  close() {
    if (!this.#handle) return;
    lostSnapshots.unregister(this);
    snapshotFree(this.#handle);
    this.#handle = 0;
  }
}

/** Opens a client: "sqlite:PATH", "postgresql://…", "memory:", "file:PATH" or "definitions:". */
export async function openClient(uri, options = {}) {
  checkText(uri, 'the URI');
  if (typeof options !== 'object' || options === null) throw new TypeError('options are an object');
  const native = optionsOf(options);
  const clock = clockOf(uri, options.clock);
  native.clock = clock ? Number(clock) : 0;
  try {
    const handle = await callLater(clientOpen, (f) => [uri, native, f.out, f.err], (f) => f.handle());
    return new Client(construct, new Core(handle, uri, native.wait_ms, clock));
  } catch (error) {
    if (clock) koffi.unregister(clock);
    throw error;
  }
}

/** A clock runs inside of evaluations. A store has threads of its own, which could not wait for it. */
function clockOf(uri, clock) {
  if (clock === undefined || clock === null) return null;
  checkFunction(clock, 'the clock');
  if (!/^(definitions|file):/.test(uri)) throw new TypeError('a client with a store goes by the clock of the system');
  const now = () => {
    try {
      const ms = withContextsLocked(() => Math.trunc(Number(clock())));
      if (Number.isSafeInteger(ms)) return ms;
    } catch {
      // A clock that is broken is none.
    }
    return Date.now();
  };
  return koffi.register(now, CLOCK);
}

/** What is allowed in definitions but hardly meant, one line each. Malformed ones throw. */
export function lintDefinitions(definitions, name) {
  const text = jsonText(definitions, 'definitions');
  const warnings = [];
  callNow(lint, (f) => [text, Buffer.byteLength(text), optionalText(name, 'the name'), (_, line) => void warnings.push(koffi.decode.string(line)), 0, f.err]);
  return warnings;
}
