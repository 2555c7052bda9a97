// Evaluating flags: typed getters, details, bound handles.

import koffi from 'koffi';
import { HANDLE, callNow, checkText, func, nameOf, narrow, struct } from './native.mjs';
import { closed } from './error.mjs';
import { hasValidKey, nativeContext } from './context.mjs';

// ---- the library's structures ----

const VALUE = struct('flagver_value', {
  type: 'int32',
  boolean: 'bool',
  integer: 'int64',
  real: 'double',
  string: HANDLE,
  length: 'size_t',
});
const DETAIL = struct('flagver_detail', {
  size: 'size_t',
  flag: HANDLE,
  flag_length: 'size_t',
  value: VALUE,
  variant: HANDLE,
  reason: 'int32',
  error: 'int32',
  rule: HANDLE,
  bucket: 'int32',
  version: 'int64',
  metadata: HANDLE,
});
const DETAIL_SIZE = koffi.sizeof(DETAIL);

const at = (member) => koffi.offsetof(DETAIL, member);
const AT_VALUE = at('value');
const AT = {
  flag: at('flag'),
  flagLength: at('flag_length'),
  type: AT_VALUE + koffi.offsetof(VALUE, 'type'),
  boolean: AT_VALUE + koffi.offsetof(VALUE, 'boolean'),
  integer: AT_VALUE + koffi.offsetof(VALUE, 'integer'),
  real: AT_VALUE + koffi.offsetof(VALUE, 'real'),
  string: AT_VALUE + koffi.offsetof(VALUE, 'string'),
  length: AT_VALUE + koffi.offsetof(VALUE, 'length'),
  variant: at('variant'),
  reason: at('reason'),
  error: at('error'),
  rule: at('rule'),
  bucket: at('bucket'),
  version: at('version'),
  metadata: at('metadata'),
};

export const TYPES = ['any', 'boolean', 'string', 'integer', 'double', 'json'];
const ANY = 0;
export const BOOL = 1;
export const STRING = 2;
export const INT = 3;
export const DOUBLE = 4;
export const JSON_TYPE = 5;

const names = (function_, count) => {
  const name = func(function_, 'str', ['int']);
  return Array.from({ length: count }, (_, i) => name(i));
};
const REASONS = names('flagver_reason_name', 6);
const ERRORS = names('flagver_error_code_name', 7);
const STATIC = 1;
const DISABLED = 5;
const NOT_FOUND = 1;

const bool = func('flagver_bound_bool', 'bool', [HANDLE, HANDLE, 'bool']);
const int = func('flagver_bound_int', 'int64', [HANDLE, HANDLE, 'int64']);
const double = func('flagver_bound_double', 'double', [HANDLE, HANDLE, 'double']);
const json = func('flagver_bound_json', 'str', [HANDLE, HANDLE, HANDLE]);
const string = func('flagver_bound_string', 'str', [HANDLE, HANDLE, HANDLE]);
const evaluate = func('flagver_bound_evaluate', 'int', [HANDLE, HANDLE, 'int', HANDLE]);
const evaluateKey = func('flagver_flag_evaluate', 'int', [HANDLE, 'str', 'size_t', HANDLE, 'int', HANDLE]);
const evaluateOn = func('flagver_snapshot_evaluate', 'int', [HANDLE, 'str', 'size_t', HANDLE, 'int', HANDLE]);
const bindFlag = func('flagver_flag_bind', 'int', [HANDLE, 'str', HANDLE, HANDLE]);

// ---- details ----

// One detail is enough: a call fills it, and it is read before the next call.
const memory = koffi.alloc('uint8', DETAIL_SIZE);
const DETAIL_AT = Number(koffi.address(memory));
const view = new DataView(koffi.view(memory, DETAIL_SIZE));
view.setBigUint64(0, BigInt(DETAIL_SIZE), true);

const pointerAt = (offset) => view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 0x100000000;

const decode = (address) => (address ? koffi.decode.string(address) : null);

function valueOf(type, text) {
  switch (type) {
    case BOOL:
      return view.getUint8(AT.boolean) !== 0;
    case STRING:
      return text(pointerAt(AT.string), pointerAt(AT.length));
    case INT:
      return narrow(view.getBigInt64(AT.integer, true));
    case DOUBLE:
      return view.getFloat64(AT.real, true);
    case JSON_TYPE:
      return JSON.parse(text(pointerAt(AT.string), pointerAt(AT.length)));
    default:
      return undefined;
  }
}

const plainText = (address, length) => koffi.decode.string(address, length);

/**
 * What the last call has told. `strings` turns addresses into texts: those that stay the same as long
 * as the flags do are not made anew each time.
 */
function readDetail(key, strings) {
  const error = view.getInt32(AT.error, true);
  const version = pointerAt(AT.version);
  const metadata = pointerAt(AT.metadata);

  const type = view.getInt32(AT.type, true);

  return {
    flag: key,
    type: error ? null : TYPES[type],
    value: error ? undefined : valueOf(type, strings.text),
    variant: strings.name(pointerAt(AT.variant)),
    reason: REASONS[view.getInt32(AT.reason, true)],
    errorCode: error ? ERRORS[error] : null,
    rule: strings.name(pointerAt(AT.rule)),
    bucket: view.getInt32(AT.bucket, true),
    version,
    metadata: metadata ? strings.metadata(metadata) : null,
  };
}

const readMetadata = (address) => frozen(JSON.parse(decode(address)));

/** Metadata are shared by all who ask. */
function frozen(value) {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}

const freshStrings = { name: decode, text: plainText, metadata: readMetadata };

/**
 * The strings of one state of the flags, by address. When the state changes the memory may be
 * used for others, so it begins anew.
 */
export class Strings {
  #known = new Map();
  #metadata = new Map();

  forget() {
    this.#known.clear();
    this.#metadata.clear();
  }

  #keepMetadata(address) {
    const metadata = readMetadata(address);
    this.#metadata.set(address, metadata);
    return metadata;
  }

  name = (address) => {
    if (!address) return null;
    return this.#known.get(address) ?? this.#keep(address, koffi.decode.string(address));
  };

  metadata = (address) => this.#metadata.get(address) ?? this.#keepMetadata(address);

  text = (address, length) => this.#known.get(address) ?? this.#keep(address, plainText(address, length));

  #keep(address, string) {
    this.#known.set(address, string);
    return string;
  }
}

/** The detail of a key that no flag can have. */
export function missing(key, errorCode = ERRORS[NOT_FOUND]) {
  return {
    flag: key,
    type: null,
    value: undefined,
    variant: null,
    reason: 'ERROR',
    errorCode,
    rule: null,
    bucket: -1,
    version: 0,
    metadata: null,
  };
}

/** By type: throws where a default is of another one. */
const CHECKS = [];

const wrongFallback = (fallback, wanted) =>
  new TypeError(`the default is no ${wanted} but ${typeof fallback === 'number' ? fallback : nameOf(fallback)}`);

const checkBool = (CHECKS[BOOL] = (fallback) => {
  if (typeof fallback !== 'boolean') throw wrongFallback(fallback, 'boolean');
});
const checkInt = (CHECKS[INT] = (fallback) => {
  if (typeof fallback !== 'bigint' && !Number.isSafeInteger(fallback)) throw wrongFallback(fallback, 'integer');
});
const checkDouble = (CHECKS[DOUBLE] = (fallback) => {
  if (typeof fallback !== 'number') throw wrongFallback(fallback, 'number');
});
const checkString = (CHECKS[STRING] = (fallback) => {
  if (typeof fallback !== 'string' && fallback !== null) throw wrongFallback(fallback, 'string');
});

/** A detail that has the default after an error. */
export function withFallback(detail, type, fallback) {
  CHECKS[type]?.(fallback);
  if (detail.errorCode !== null) detail.value = fallback;
  return detail;
}

export function typeNumber(type) {
  if (type === undefined || type === null) return ANY;
  const number = TYPES.indexOf(type);
  if (number < 0) throw new TypeError(`${JSON.stringify(type)} is no type: ${TYPES.join(', ')}`);
  return number;
}

// ---- the state of a client that evaluations go by ----

const boundCount = func('flagver_bound_count', 'int', [HANDLE, 'str', 'uint32', HANDLE]);

/** So many answers of one flag, or so long, and they are told. */
const COUNT_LIMIT = 65536;
const TELL_MS = 1000;

/**
 * A client for evaluations: its handle, and the number that changes with every state of its flags,
 * looked at in memory. A closed one has neither.
 *
 * What a flag without anything to decide serves is kept until that number changes. How often it was
 * served from there is told to the library once in a while.
 */
export class FlagState {
  #untold = new Set();

  constructor(handle, word) {
    this.handle = handle;
    this.words = new Int32Array(koffi.view(word, 8));
    this.strings = new Strings();
    this.low = this.words[0];
    this.high = this.words[1];
  }

  /** Whether what is kept is of the present state; if not, nothing is kept any more. */
  isSame() {
    if (this.words[0] === this.low && this.words[1] === this.high) return true;
    this.strings.forget();
    this.low = this.words[0];
    this.high = this.words[1];
    return false;
  }

  /** This has served without asking. */
  toTell(kept) {
    this.#untold.add(kept);
    if (this.#untold.size === 1) setTimeout(() => this.tell(), TELL_MS).unref();
  }

  tell() {
    for (const kept of this.#untold) kept.tell();
    this.#untold.clear();
  }

  close() {
    this.tell();
    this.handle = 0;
    // A number that no state has.
    this.words = new Int32Array(2);
    this.strings.forget();
  }
}

/** What is known of a flag in one state of the flags. */
class Kept {
  #bound;
  #state;
  #served = 0;
  #variant = null;

  constructor(bound, state) {
    this.#bound = bound;
    this.#state = state;
    this.low = state.words[0];
    this.high = state.words[1];
    this.details = []; // by type: served to everyone
    this.open = 0; // types that have to be asked for, as bits
  }

  learn(detail, type) {
    if (detail.reason !== REASONS[STATIC] && detail.reason !== REASONS[DISABLED]) {
      this.open |= 1 << type;
      return;
    }
    this.#variant = detail.variant;
    this.details[type] = new Shared(detail);
  }

  serve() {
    if (this.#served++ === 0) this.#state.toTell(this);
    else if (this.#served >= COUNT_LIMIT) this.tell();
  }

  tell() {
    const times = this.#served;
    if (times === 0) return;
    this.#served = 0;
    // A variant that is gone by now is nobody's to count.
    boundCount(this.#bound, this.#variant, times, 0);
  }
}

/** A detail that many get: what they do with theirs is not seen by others. */
class Shared {
  #detail;
  #json;

  constructor(detail) {
    this.#detail = { ...detail };
    this.#json = typeof detail.value === 'object' ? JSON.stringify(detail.value) : null;
  }

  get value() {
    return this.#json === null ? this.#detail.value : JSON.parse(this.#json);
  }

  copy() {
    const copy = { ...this.#detail };
    if (this.#json !== null) copy.value = JSON.parse(this.#json);
    return copy;
  }
}

/** Of no state at all. */
const UNKNOWN = Object.assign(Object.create(Kept.prototype), { low: -1, high: -1, details: [], open: 0 });

// ---- bound flags ----

let construct;

/** A flag looked up once. Lives as long as its client, and survives change and deletion of its flag. */
export class Flag {
  #bound;
  #state;
  #key;
  #client; // is not forgotten as long as one of its flags is used
  #kept = UNKNOWN;

  constructor(token, state, key, bound, client) {
    if (token !== construct) throw new TypeError('a flag is bound by client.bind()');
    this.#state = state;
    this.#key = key;
    this.#bound = bound;
    this.#client = client;
  }

  get key() {
    return this.#key;
  }

  get client() {
    return this.#client;
  }

  #native(context) {
    const native = nativeContext(context); // its getters may close the client
    if (this.#state.handle === 0) throw closed('client');
    return native;
  }

  /** What is served to everyone, counted; null: the library has to be asked; undefined: it is not known yet. */
  #shared(context, type) {
    const kept = this.#kept;
    const { words } = this.#state;
    if (words[0] !== kept.low || words[1] !== kept.high) return undefined;
    const shared = kept.details[type];
    if (shared === undefined) return kept.open & (1 << type) ? null : undefined;
    if (!hasValidKey(context)) return undefined;
    kept.serve();
    return shared;
  }

  /** Asks with all details, and keeps what there is to be kept. */
  #ask(context, type) {
    const state = this.#state;
    evaluate(this.#bound, this.#native(context), type, DETAIL_AT);

    const same = state.isSame();
    const detail = readDetail(this.#key, state.strings);
    if (same && state.isSame()) this.#learn(detail, type);
    else state.strings.forget(); // the flags have changed meanwhile
    return detail;
  }

  #learn(detail, type) {
    const { words } = this.#state;
    if (words[0] !== this.#kept.low || words[1] !== this.#kept.high) this.#kept = new Kept(this.#bound, this.#state);
    this.#kept.learn(detail, type);
  }

  #askedValue(context, type, fallback) {
    const detail = this.#ask(context, type);
    return detail.errorCode === null ? detail.value : fallback;
  }

  bool(context, fallback = false) {
    checkBool(fallback);
    const shared = this.#shared(context, BOOL);
    if (shared) return shared.value;
    if (shared === null) return bool(this.#bound, this.#native(context), fallback);
    return this.#askedValue(context, BOOL, fallback);
  }

  int(context, fallback = 0) {
    checkInt(fallback);
    const shared = this.#shared(context, INT);
    if (shared) return shared.value;
    if (shared === null && typeof fallback === 'number') return narrow(int(this.#bound, this.#native(context), fallback));
    return this.#askedValue(context, INT, fallback);
  }

  double(context, fallback = 0) {
    checkDouble(fallback);
    const shared = this.#shared(context, DOUBLE);
    if (shared) return shared.value;
    if (shared === null) return double(this.#bound, this.#native(context), fallback);
    return this.#askedValue(context, DOUBLE, fallback);
  }

  string(context, fallback = '') {
    checkString(fallback);
    const shared = this.#shared(context, STRING);
    if (shared) return shared.value;
    if (shared === null) return string(this.#bound, this.#native(context), 0) ?? fallback;
    return this.#askedValue(context, STRING, fallback);
  }

  json(context, fallback = null) {
    const shared = this.#shared(context, JSON_TYPE);
    if (shared) return shared.value;
    return this.#askedValue(context, JSON_TYPE, fallback);
  }

  /** The value of a JSON flag as canonical JSON text. */
  jsonText(context, fallback = null) {
    return json(this.#bound, this.#native(context), 0) ?? fallback;
  }

  boolDetail(context, fallback = false) {
    return withFallback(this.#detail(context, BOOL), BOOL, fallback);
  }

  intDetail(context, fallback = 0) {
    return withFallback(this.#detail(context, INT), INT, fallback);
  }

  doubleDetail(context, fallback = 0) {
    return withFallback(this.#detail(context, DOUBLE), DOUBLE, fallback);
  }

  stringDetail(context, fallback = '') {
    return withFallback(this.#detail(context, STRING), STRING, fallback);
  }

  jsonDetail(context, fallback = null) {
    return withFallback(this.#detail(context, JSON_TYPE), JSON_TYPE, fallback);
  }

  /** Whatever the flag's own type is; or "boolean", "string", "integer", "double", "json". */
  evaluate(context, type) {
    return this.#detail(context, typeNumber(type));
  }

  #detail(context, type) {
    return this.#shared(context, type)?.copy() ?? this.#ask(context, type);
  }
}

/** Binds a key; null for one that no flag can have. */
export function bind(state, key, client) {
  if (key.length === 0 || key.includes('\0') || Buffer.byteLength(key) > 256) return null;
  const handle = callNow(bindFlag, (f) => [state.handle, key, f.out, f.err], (f) => f.handle());
  return new Flag(construct, state, key, handle, client);
}
construct = Symbol('bound');

/** For keys that are not worth a handle. */
export function evaluateByKey(state, key, context, type) {
  const native = nativeContext(context);
  if (state.handle === 0) throw closed('client');
  evaluateKey(state.handle, key, Buffer.byteLength(key), native, type, DETAIL_AT);
  return readDetail(key, freshStrings);
}

export function evaluateOnSnapshot(use, key, context, type) {
  checkText(key, 'the key');
  const native = nativeContext(context);
  evaluateOn(use(), key, Buffer.byteLength(key), native, type, DETAIL_AT);
  return readDetail(key, freshStrings);
}

const copyMemory = (address) => {
  const source = new Uint8Array(koffi.view(address, DETAIL_SIZE));
  new Uint8Array(view.buffer).set(source);
};

/** A detail that a visitor gets. */
export function detailAt(address) {
  copyMemory(address);
  const key = koffi.decode.string(pointerAt(AT.flag), pointerAt(AT.flagLength));
  return readDetail(key, freshStrings);
}
