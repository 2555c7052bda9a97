// Moving data from an old system to a new one.
//
// The functions of a side run on the thread of the program, while the call that wants them waits on a thread
// of the pool. So they must be synchronous; what they throw is the side's error. No thread of the library's
// own ever calls them: steps are taken by calls of this package.

import { ACTOR, actorOf } from './actor.mjs';
import { withContext } from './context.mjs';
import { FlagverError, MistakeError, closed, mistake } from './error.mjs';
import { CODES, ERR, HANDLE, callLater, callNow, checkFunction, checkInteger, checkText, func, koffi } from './native.mjs';
import { ERROR, nameOf, optionalText, pack, sizeOf, struct, synchronous, tellError } from './native.mjs';
import { Calls } from './queue.mjs';

// ---- the library's structures ----

const CALL = struct('flagver_side_call', {
  operation: 'int32',
  side: 'int32',
  key: 'str',
  operation_id: 'str',
  payload: HANDLE,
  payload_length: 'size_t',
  deadline: 'int64',
  txn: HANDLE,
});
const SIDE = struct('flagver_side', {
  size: 'size_t',
  client: HANDLE,
  data: HANDLE,
  read: HANDLE,
  write: HANDLE,
  remove: HANDLE,
  scan: HANDLE,
  write_many: HANDLE,
  deactivate: HANDLE,
  count: HANDLE,
  find_by_operation: HANDLE,
});
const OPTIONS = struct('flagver_route_options', {
  size: 'size_t',
  flag: 'str',
  default_stage: 'int32',
  order: 'int32',
  old_side: SIDE,
  new_side: SIDE,
  compare: HANDLE,
  compare_data: HANDLE,
  workers: 'int32',
  shadow_timeout_ms: 'int32',
  check_ratio: 'int32',
  sampling_ratio: 'int32',
  event: HANDLE,
  event_data: HANDLE,
  random: HANDLE,
  random_data: HANDLE,
  alert: HANDLE,
  alert_data: HANDLE,
  background: 'int32',
  chunk_ms: 'int32',
  copy_share: 'int32',
  verify: 'int32',
  throttle: HANDLE,
  throttle_data: HANDLE,
  difference: HANDLE,
  difference_data: HANDLE,
});
const SIDE_RESULT = struct('flagver_route_side_result', { invoked: 'bool', code: 'int32', latency_ns: 'int64' });
const EVENT = struct('flagver_route_event', {
  route: 'str',
  operation: 'int32',
  key: 'str',
  context: HANDLE,
  time: 'int64',
  stage: 'int32',
  default_stage: 'int32',
  version: 'int64',
  reason: 'int32',
  error: 'int32',
  sides: koffi.array(SIDE_RESULT, 2),
  consistent: 'int32',
  check_ratio: 'uint32',
  sampling_ratio: 'uint32',
});
const ALERT = struct('flagver_route_alert', { route: 'str', guard: 'str', value: 'double', limit: 'double', stage: 'int32', acted: 'bool' });
const ROUTE_CALL = struct('flagver_route_call', {
  size: 'size_t',
  context: HANDLE,
  payload: 'uint8 *',
  payload_length: 'size_t',
  operation_id: 'str',
  strict: 'int32',
  reserved: 'int32',
});
const RESULT = struct('flagver_route_result', {
  size: 'size_t',
  value: HANDLE,
  length: 'size_t',
  key: 'str',
  stage: 'int32',
  side: 'int32',
  sides: koffi.array(SIDE_RESULT, 2),
  errors: koffi.array(ERROR, 2),
  consistent: 'int32',
  pending: 'bool',
});
const CHANGE = struct('flagver_route_change', {
  size: 'size_t',
  percentage: 'double',
  forced: 'str',
  note: 'str',
  wait_ms: 'int32',
  reserved: 'int32',
});
const PROGRESS = struct('flagver_route_progress', {
  size: 'size_t',
  stage: 'int32',
  settled: 'bool',
  copied_all: 'bool',
  repaired: 'uint64',
  unrepaired: 'uint64',
  waiting: 'uint64',
  copied: 'uint64',
  oldest_ms: 'int64',
  copied_so_far: 'uint64',
  copy_total: 'uint64',
  copy_rate: 'double',
  copy_left_ms: 'int64',
  rest_ms: 'int64',
  verified: 'bool',
  compared_so_far: 'uint64',
  differences: 'uint64',
  left_out: 'uint64',
  compare_rate: 'double',
  compare_left_ms: 'int64',
});
const COMPARE = struct('flagver_compare_options', {
  size: 'size_t',
  chunk: 'uint32',
  confirm_ms: 'int32',
  repair: 'int32',
  reserved: 'int32',
  ret_left_out: HANDLE,
});
const DIFFERENCE = struct('flagver_difference', {
  kind: 'int32',
  key: 'str',
  old_value: HANDLE,
  new_value: HANDLE,
  old_length: 'size_t',
  new_length: 'size_t',
});

const pointerTo = (result, parameters) => koffi.pointer(koffi.proto(result, parameters));
const READ = pointerTo('int', [HANDLE, HANDLE, HANDLE, HANDLE]);
const WRITE = pointerTo('int', [HANDLE, HANDLE, HANDLE, 'size_t', HANDLE, HANDLE]);
const REMOVE = pointerTo('int', [HANDLE, HANDLE, HANDLE]);
const SCAN = pointerTo('int', [HANDLE, HANDLE, 'str', 'uint32', HANDLE, HANDLE]);
const COUNT = pointerTo('int', [HANDLE, HANDLE, HANDLE, HANDLE]);
const THROTTLE = pointerTo('int32', [HANDLE]);
const COMPARE_VALUES = pointerTo('int', [HANDLE, 'str', HANDLE, 'size_t', HANDLE, 'size_t']);
const TELL = pointerTo('void', [HANDLE, HANDLE]);
const VISIT = pointerTo('bool', [HANDLE, HANDLE]);

const stageName = func('flagver_stage_name', 'str', ['int']);
const stageParse = func('flagver_stage_parse', 'int', ['str']);
const sinkValue = func('flagver_sink_value', 'int', [HANDLE, 'uint8 *', 'size_t']);
const sinkRow = func('flagver_sink_row', 'int', [HANDLE, 'str', 'uint8 *', 'size_t']);
const sinkEnd = func('flagver_sink_end', 'void', [HANDLE]);
const sinkKey = func('flagver_sink_key', 'int', [HANDLE, 'str']);
const eventJson = func('flagver_route_event_json', 'int', [HANDLE, HANDLE, ERR]);
const routeOpen = func('flagver_route_open', 'int', [HANDLE, 'str', koffi.pointer(OPTIONS), HANDLE, ERR]);
const routeClose = func('flagver_route_close', 'int', [HANDLE, 'int32', ERR]);
const resultClear = func('flagver_route_result_clear', 'void', [HANDLE]);
const CALLED = koffi.pointer(ROUTE_CALL);
const routeRead = func('flagver_route_read', 'int', [HANDLE, 'str', CALLED, HANDLE, ERR]);
const routeWrite = func('flagver_route_write', 'int', [HANDLE, 'str', 'uint8 *', 'size_t', CALLED, HANDLE, ERR]);
const routeRemove = func('flagver_route_remove', 'int', [HANDLE, 'str', CALLED, HANDLE, ERR]);
const ACTING = koffi.pointer(ACTOR);
const CHANGING = koffi.pointer(CHANGE);
const routeStage = func('flagver_route_stage', 'int', [HANDLE, ACTING, 'int', CHANGING, ERR]);
const routeRollback = func('flagver_route_rollback', 'int', [HANDLE, ACTING, 'str', ERR]);
const routeStep = func('flagver_route_step', 'int', [HANDLE, 'int32', HANDLE, ERR]);
const routeStatus = func('flagver_route_status', 'int', [HANDLE, HANDLE, ERR]);
const routeVerify = func('flagver_route_verify', 'int', [HANDLE, koffi.pointer(COMPARE), VISIT, HANDLE, HANDLE, HANDLE, ERR]);
const migrationStage = func('flagver_migration_stage', 'int', [HANDLE, 'str', ACTING, 'int', CHANGING, ERR]);
const migrationRollback = func('flagver_migration_rollback', 'int', [HANDLE, 'str', ACTING, CHANGING, ERR]);
const migrationStatus = func('flagver_migration_status', 'int', [HANDLE, 'str', HANDLE, ERR]);
const reasonName = func('flagver_reason_name', 'str', ['int']);
const errorCodeName = func('flagver_error_code_name', 'str', ['int']);
const codeName = func('flagver_error_name', 'str', ['int']);

const OPERATIONS = [null, 'read', 'write', 'remove', 'scan', 'writeMany', 'deactivate', 'count', 'find'];
const SIDES = ['old', 'new'];
const ORDERS = { serial: 1, random: 2 };
const KINDS = [null, 'missing_in_new', 'extra_in_new', 'value'];

function stageNumber(stage) {
  const number = stageParse(checkText(stage, 'the stage'));
  if (!number) throw mistake('EINVAL', `${JSON.stringify(stage)} is no stage`);
  return number;
}

/** A copy: the library's bytes are gone when the function returns. */
function bytesAt(address, length) {
  const size = Number(length);
  return size ? Buffer.from(new Uint8Array(koffi.view(address, size))) : Buffer.alloc(0);
}

function bytesOf(value, what) {
  if (typeof value === 'string') return Buffer.from(value);
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`${what} is neither a string nor a Uint8Array but ${nameOf(value)}`);
}

/** For calls on other threads, which read it while its owner may go on writing, or give it away. */
const copyOf = (value, what) => Buffer.from(bytesOf(value, what));

const orNull = (bytes) => (bytes.length ? bytes : null);

// ---- sides ----

function callAt(address) {
  const row = koffi.decode(address, CALL);
  return {
    operation: OPERATIONS[row.operation],
    side: SIDES[row.side],
    key: row.key,
    operationId: row.operation_id,
    payload: row.payload ? bytesAt(row.payload, row.payload_length) : null,
    deadlineNs: row.deadline,
  };
}

/** What a side has thrown, as the library's code and words. It may be anything: reading it may throw, too. */
function failureOf(error, name) {
  try {
    const code = error instanceof FlagverError ? CODES.get(error.code) : undefined;
    return { code, message: String(error?.message ?? `${name} threw ${String(error)}`) };
  } catch {
    return { message: `${name} threw something that cannot be read` };
  }
}

/** Runs a function of a side; what it throws becomes the library's error. If it left here C would see a success. */
function guarded(name, err, run) {
  try {
    const result = run();
    return result ?? 0;
  } catch (error) {
    const { code = CODES.get('EUNAVAILABLE'), message } = failureOf(error, name);
    tellError(err, code, message);
    return code;
  }
}

const inSide = (side, name, ...args) => synchronous(side[name](...args), name);

function readFrom(side) {
  return (_, call, sink, err) =>
    guarded('read', err, () => {
      const asked = callAt(call);
      const value = inSide(side, 'read', asked.key, asked);
      if (value === undefined || value === null) return CODES.get('ENOTFOUND');
      const bytes = bytesOf(value, 'the value that read returned');
      return sinkValue(sink, orNull(bytes), bytes.length);
    });
}

function writeTo(side) {
  return (_, call, value, length, sink, err) =>
    guarded('write', err, () => {
      const asked = callAt(call);
      const key = inSide(side, 'write', asked.key, bytesAt(value, length), asked);
      return asked.key === null ? sinkKey(sink, checkText(key, 'the key that write returned')) : 0;
    });
}

function removeFrom(side) {
  return (_, call, err) =>
    guarded('remove', err, () => {
      const asked = callAt(call);
      inSide(side, 'remove', asked.key, asked);
    });
}

function scanOf(side) {
  return (_, call, after, limit, sink, err) =>
    guarded('scan', err, () => {
      const { rows, end } = inSide(side, 'scan', after, limit, callAt(call));
      for (const [key, value] of rows) {
        const bytes = bytesOf(value, 'a value that scan returned');
        const r = sinkRow(sink, checkText(key, 'a key that scan returned'), orNull(bytes), bytes.length);
        if (r < 0) return r;
      }
      if (end) sinkEnd(sink);
    });
}

function countOf(side) {
  return (_, call, ret, err) =>
    guarded('count', err, () => {
      const count = inSide(side, 'count', callAt(call));
      if (!Number.isSafeInteger(count) || count < 0) throw new TypeError(`count returned ${String(count)}`);
      koffi.encode(ret, 'uint64', count);
    });
}

function foundIn(side) {
  return (_, call, sink, err) =>
    guarded('findByOperation', err, () => {
      const asked = callAt(call);
      const key = inSide(side, 'findByOperation', asked.operationId, asked);
      if (key === undefined || key === null) return CODES.get('ENOTFOUND');
      return sinkKey(sink, checkText(key, 'the key that findByOperation returned'));
    });
}

function deactivated(side) {
  return (_, call, err) =>
    guarded('deactivate', err, () => {
      inSide(side, 'deactivate', callAt(call));
    });
}

/** The functions that are registered for one route. */
class Callbacks {
  #registered = [];

  add(fn, type) {
    const callback = koffi.register(fn, type);
    this.#registered.push(callback);
    return Number(callback);
  }

  optional(fn, what, wrap, type) {
    if (fn === undefined || fn === null) return 0;
    return this.add(wrap(checkFunction(fn, what)), type);
  }

  side(side, name) {
    if (typeof side !== 'object' || side === null) throw new TypeError(`${name} is no side but ${nameOf(side)}`);
    const place = (member, wrap, type) => (side[member] === undefined ? 0 : this.add(checked(side, member, wrap), type));
    return {
      size: sizeOf(SIDE),
      client: 0,
      data: 0,
      read: place('read', readFrom, READ),
      write: place('write', writeTo, WRITE),
      remove: place('remove', removeFrom, REMOVE),
      scan: place('scan', scanOf, SCAN),
      write_many: 0,
      deactivate: place('deactivate', deactivated, REMOVE),
      count: place('count', countOf, COUNT),
      find_by_operation: place('findByOperation', foundIn, COUNT),
    };
  }

  release() {
    for (const callback of this.#registered.splice(0)) koffi.unregister(callback);
  }
}

function checked(side, member, wrap) {
  checkFunction(side[member], member);
  return wrap(side);
}

// ---- events ----

const sideResult = (row) => ({ invoked: row.invoked, code: row.code ? codeName(row.code) : null, latencyNs: row.latency_ns });

const consistency = (number) => (number < 0 ? null : number === 1);

/** What an event's handler throws is nobody's: it must not break the operation. */
function toldOf(handler, read) {
  return (_, address) => {
    try {
      handler(read(address));
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  };
}

function eventAt(address) {
  const row = koffi.decode(address, EVENT);
  return {
    route: row.route,
    operation: OPERATIONS[row.operation],
    key: row.key,
    time: row.time,
    stage: stageName(row.stage),
    defaultStage: stageName(row.default_stage),
    version: row.version,
    reason: reasonName(row.reason),
    errorCode: errorCodeName(row.error),
    sides: { old: sideResult(row.sides[0]), new: sideResult(row.sides[1]) },
    consistent: consistency(row.consistent),
    checkRatio: row.check_ratio,
    samplingRatio: row.sampling_ratio,
    /** In the form of LaunchDarkly's `migration_op`; null for what it does not have. */
    migrationOp: migrationOp(address),
  };
}

function migrationOp(address) {
  try {
    return JSON.parse(callNow(eventJson, (f) => [address, f.out, f.err], (f) => f.text()));
  } catch (error) {
    if (error instanceof MistakeError) return null;
    throw error;
  }
}

function alertAt(address) {
  const row = koffi.decode(address, ALERT);
  return { ...row, stage: stageName(row.stage) };
}

function differenceAt(address) {
  const row = koffi.decode(address, DIFFERENCE);
  return {
    kind: KINDS[row.kind],
    key: row.key,
    old: row.old_value ? bytesAt(row.old_value, row.old_length) : null,
    new: row.new_value ? bytesAt(row.new_value, row.new_length) : null,
  };
}

const MS_LIMIT = 0x7fffffff;

function throttling(throttle) {
  return () => {
    try {
      const ms = Math.trunc(Number(synchronous(throttle(), 'throttle'))) || 0;
      return Math.min(Math.max(ms, -1), MS_LIMIT);
    } catch {
      return -1; // not in this step
    }
  };
}

function comparing(compare) {
  return (_, key, oldValue, oldLength, newValue, newLength) => {
    try {
      const equal = synchronous(compare(bytesAt(oldValue, oldLength), bytesAt(newValue, newLength), key), 'compare');
      return equal === undefined || equal === null ? -1 : Number(Boolean(equal));
    } catch {
      return -1; // it cannot be told
    }
  };
}

// ---- results ----

function resultAt(address) {
  const row = koffi.decode(address, RESULT);
  return {
    value: row.value ? bytesAt(row.value, row.length) : null,
    key: row.key,
    stage: stageName(row.stage),
    side: SIDES[row.side],
    sides: {
      old: { ...sideResult(row.sides[0]), message: row.errors[0].message || null },
      new: { ...sideResult(row.sides[1]), message: row.errors[1].message || null },
    },
    consistent: consistency(row.consistent),
    pending: row.pending,
  };
}

const RESULT_SIZE = sizeOf(RESULT);
const PROGRESS_SIZE = sizeOf(PROGRESS);

function prepare(frame, size) {
  new Uint8Array(frame.view.buffer, frame.view.byteOffset, size).fill(0);
  frame.view.setBigUint64(0, BigInt(size), true);
}

function takeResult(frame) {
  try {
    return resultAt(frame.out);
  } finally {
    resultClear(frame.out);
  }
}

function changeOf({ percentage = 0, forced, note, waitMs = 0 } = {}) {
  if (typeof percentage !== 'number') throw new TypeError('the percentage is no number');
  return pack(CHANGE, {
    percentage,
    forced: optionalText(forced, 'forced'),
    note: optionalText(note, 'the note'),
    wait_ms: checkInteger(waitMs, 'waitMs', -1, 2147483647),
  });
}

// ---- the route ----

const CLOSE_MS = 5000;
const STEP_EVERY_MS = 250;
const STEP_BUDGET_MS = 100;

class RouteCore {
  constructor(core, handle, callbacks) {
    this.core = core;
    this.handle = handle;
    this.callbacks = callbacks;
    this.calls = new Calls();
    this.ending = null;
    this.timer = null;
  }

  use() {
    if (this.ending) throw closed('route');
    return this.handle;
  }

  /** What is done with the route on another thread: its closing waits for it. */
  async #during(run) {
    this.use();
    return this.calls.during(run);
  }

  read(run) {
    return this.#during(() => this.core.read(run));
  }

  write(what, run) {
    return this.#during(() => this.core.write(what, run));
  }

  end() {
    this.ending ??= this.#end().catch((error) => {
      this.ending = null; // it may be tried again
      throw error;
    });
    return this.ending;
  }

  async #end() {
    clearInterval(this.timer);
    await this.calls.none();
    await this.core.calls.during(() => this.core.lane.last(() => callLater(routeClose, (f) => [this.handle, CLOSE_MS, f.err])));
    this.core.children.delete(this);
    this.callbacks.release();
  }
}

const lost = new FinalizationRegistry((core) => core.end().catch(() => {}));

let construct;

const KNOWN = new Set(['old', 'new', 'flag', 'defaultStage', 'compare', 'order', 'shadowTimeoutMs', 'checkRatio', 'samplingRatio', 'event', 'alert', 'background', 'chunkMs', 'copyShare', 'throttle', 'verify', 'difference']);

const VERIFY = { call: 0, report: 1, repair: 2 };

function verifyOf(way = 'call') {
  if (!Object.hasOwn(VERIFY, way)) throw new TypeError(`${JSON.stringify(way)} is no way to verify: call, report, repair`);
  return VERIFY[way];
}

function optionsOf(options, callbacks) {
  const { flag, defaultStage, order = 'serial' } = options;
  for (const name of Object.keys(options)) if (!KNOWN.has(name)) throw new TypeError(`there is no option ${name}`);
  if (!Object.hasOwn(ORDERS, order)) throw new TypeError(`${JSON.stringify(order)} is no order: serial, random`);
  const ratio = (name) => checkInteger(options[name] ?? 0, name, -1, 2147483647);
  return {
    size: sizeOf(OPTIONS),
    flag: optionalText(flag, 'flag'),
    default_stage: defaultStage === undefined ? 0 : stageNumber(defaultStage),
    order: ORDERS[order],
    old_side: callbacks.side(options.old, 'old'),
    new_side: callbacks.side(options.new, 'new'),
    compare: callbacks.optional(options.compare, 'compare', comparing, COMPARE_VALUES),
    compare_data: 0,
    workers: 0,
    shadow_timeout_ms: checkInteger(options.shadowTimeoutMs ?? 0, 'shadowTimeoutMs', -1, 2147483647),
    check_ratio: ratio('checkRatio'),
    sampling_ratio: ratio('samplingRatio'),
    event: callbacks.optional(options.event, 'event', (handler) => toldOf(handler, eventAt), TELL),
    event_data: 0,
    random: 0,
    random_data: 0,
    alert: callbacks.optional(options.alert, 'alert', (handler) => toldOf(handler, alertAt), TELL),
    alert_data: 0,
    background: 0,
    chunk_ms: checkInteger(options.chunkMs ?? 0, 'chunkMs', 0, 2147483647),
    copy_share: checkInteger(options.copyShare ?? 0, 'copyShare', 0, 100),
    verify: verifyOf(options.verify),
    throttle: callbacks.optional(options.throttle, 'throttle', throttling, THROTTLE),
    throttle_data: 0,
    difference: callbacks.optional(options.difference, 'difference', (handler) => toldOf(handler, differenceAt), TELL),
    difference_data: 0,
  };
}

export async function openRoute(core, client, migration, options = {}) {
  const name = optionalText(migration, 'the migration');
  const callbacks = new Callbacks();
  core.use();
  try {
    const native = optionsOf(options, callbacks);
    // It is the client's before the call is over: one that is being closed ends it, too.
    const made = (f) => new Route(construct, new RouteCore(core, f.handle(), callbacks), client, Boolean(options.background));
    return await core.write('a route', () => callLater(routeOpen, (f) => [core.handle, name, native, f.out, f.err], made));
  } catch (error) {
    callbacks.release();
    throw error;
  }
}

export class Route {
  #route;
  #client; // is not forgotten before its route

  constructor(token, route, client, background) {
    if (token !== construct) throw new TypeError('a route is opened by client.route()');
    this.#route = route;
    this.#client = client;
    route.core.children.add(route);
    lost.register(this, route, this);
    if (background) this.#goOn();
  }

  get client() {
    return this.#client;
  }

  #goOn() {
    const route = this.#route;
    let busy = false;
    route.timer = setInterval(async () => {
      if (busy || route.ending) return;
      busy = true;
      // What keeps a step from being taken is seen in status(); it is tried again.
      await takeStep(route, STEP_BUDGET_MS).catch(() => {});
      busy = false;
    }, STEP_EVERY_MS);
    route.timer.unref();
  }

  async close() {
    await this.#route.end();
    lost.unregister(this);
  }

  /** The native call with what a caller may tell it, and a result. */
  #operate(fn, before, { context, payload, operationId, strict } = {}) {
    const bytes = payload === undefined || payload === null ? null : copyOf(payload, 'the payload');
    const id = optionalText(operationId, 'operationId');
    return withContext(context, (handle) => {
      const call = pack(ROUTE_CALL, {
        context: handle,
        payload: bytes && orNull(bytes),
        payload_length: bytes ? bytes.length : 0,
        operation_id: id,
        strict: strict ? 1 : 0,
      });
      return this.#called(fn, [...before, call]);
    });
  }

  /** An operation that failed has a result, too: it is the error's. */
  #called(fn, args) {
    return callLater(
      fn,
      (f) => {
        prepare(f, RESULT_SIZE);
        return [this.#route.handle, ...args, f.out, f.err];
      },
      takeResult,
      (error, f) => {
        error.result = takeResult(f);
      },
    );
  }

  async read(key, options) {
    checkText(key, 'the key');
    return this.#route.read(() => this.#operate(routeRead, [key], options));
  }

  /** A null key creates a record whose key the side makes. */
  async write(key, value, options) {
    const name = optionalText(key, 'the key');
    const bytes = copyOf(value, 'the value');
    return this.#route.write('a write', () => this.#operate(routeWrite, [name, orNull(bytes), bytes.length], options));
  }

  async remove(key, options) {
    checkText(key, 'the key');
    return this.#route.write('a removal', () => this.#operate(routeRemove, [key], options));
  }

  async stage(actor, stage, change) {
    const args = [actorOf(actor), stageNumber(stage), changeOf(change)];
    await this.#route.write('a change of stage', () => callLater(routeStage, (f) => [this.#route.handle, ...args, f.err]));
  }

  /** Takes it all back; can be called until it succeeds. */
  async rollback(actor, note) {
    const args = [actorOf(actor), optionalText(note, 'the note')];
    await this.#route.write('a rollback', () => callLater(routeRollback, (f) => [this.#route.handle, ...args, f.err]));
  }

  /** Does some of the work that there is: repairs, copies, changes of stage. */
  async step(budgetMs = STEP_BUDGET_MS) {
    return takeStep(this.#route, checkInteger(budgetMs, 'budgetMs', 0, 2147483647));
  }

  async status() {
    return this.#route.read(async () =>
      JSON.parse(await callLater(routeStatus, (f) => [this.#route.handle, f.out, f.err], (f) => f.text())),
    );
  }

  /** Compares all records: { compared, differences, leftOut, list }, or `each` is called with one after the other. */
  async verify({ chunk = 0, confirmMs = 0, repair = false } = {}, each) {
    const options = {
      chunk: checkInteger(chunk, 'chunk', 0, 1e6),
      confirm_ms: checkInteger(confirmMs, 'confirmMs', 0, 2147483647),
      repair: repair ? 1 : 0,
    };
    return this.#route.write('a comparison', () => verifyWith(this.#route.handle, options, each));
  }
}
construct = Symbol('opened');

function takeStep(route, budgetMs) {
  return route.write('a step', () =>
    callLater(
      routeStep,
      (f) => {
        prepare(f, PROGRESS_SIZE);
        return [route.handle, budgetMs, f.out, f.err];
      },
      (f) => {
        const row = koffi.decode(f.out, PROGRESS);
        return {
          stage: stageName(row.stage),
          settled: row.settled,
          copiedAll: row.copied_all,
          repaired: row.repaired,
          unrepaired: row.unrepaired,
          waiting: row.waiting,
          copied: row.copied,
          oldestMs: row.oldest_ms,
          copiedSoFar: row.copied_so_far,
          copyTotal: row.copy_total,
          copyRate: row.copy_rate,
          copyLeftMs: row.copy_left_ms < 0 ? null : row.copy_left_ms,
          restMs: row.rest_ms,
          verified: row.verified,
          comparedSoFar: row.compared_so_far,
          compareRate: row.compare_rate,
          compareLeftMs: row.compare_left_ms < 0 ? null : row.compare_left_ms,
          differences: row.differences,
          leftOut: row.left_out,
        };
      },
    ),
  );
}

async function verifyWith(handle, options, each) {
  const list = [];
  let thrown = null;
  const visit = (_, address) => {
    try {
      const difference = differenceAt(address);
      return each ? synchronous(each(difference), 'the visitor') !== false : list.push(difference) > 0;
    } catch (error) {
      thrown ??= { error };
      return false;
    }
  };
  const result = await callLater(
    routeVerify,
    (f) => [handle, pack(COMPARE, { ...options, ret_left_out: f.out + 16 }), visit, 0, f.out, f.out + 8, f.err],
    (f) => ({ compared: f.uint64(0), differences: f.uint64(8), leftOut: f.uint64(16), list }),
  );
  if (thrown) throw thrown.error;
  return result;
}

/** Migrations for who does not have their sides. */
export class Migrations {
  #core;

  constructor(core) {
    this.#core = core;
  }

  async stage(migration, actor, stage, change) {
    const args = [checkText(migration, 'the migration'), actorOf(actor), stageNumber(stage), changeOf(change)];
    await this.#core.write('a change of stage', () => callLater(migrationStage, (f) => [this.#core.handle, ...args, f.err]));
  }

  async rollback(migration, actor, change) {
    const args = [checkText(migration, 'the migration'), actorOf(actor), changeOf(change)];
    await this.#core.write('a rollback', () => callLater(migrationRollback, (f) => [this.#core.handle, ...args, f.err]));
  }

  async status(migration) {
    const name = checkText(migration, 'the migration');
    return JSON.parse(await this.#core.call(migrationStatus, (f) => [this.#core.handle, name, f.out, f.err], (f) => f.text()));
  }
}
