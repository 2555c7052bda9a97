// Evaluating flags: typed getters, details, bound handles.

import koffi from 'koffi';
import { HANDLE, callNow, checkText, func, nameOf, narrow } from './native.mjs';
import { closed } from './error.mjs';
import { isContext, nativeContext } from './context.mjs';

// ---- the library's structures ----

const VALUE = koffi.struct({
  type: 'int32',
  boolean: 'bool',
  integer: 'int64',
  real: 'double',
  string: HANDLE,
  length: 'size_t',
});
const DETAIL = koffi.struct({
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

export const flagFunctions = {
  bool: func('flagver_bound_bool', 'bool', [HANDLE, HANDLE, 'bool']),
  int: func('flagver_bound_int', 'int64', [HANDLE, HANDLE, 'int64']),
  double: func('flagver_bound_double', 'double', [HANDLE, HANDLE, 'double']),
  string: func('flagver_bound_string', 'str', [HANDLE, HANDLE, HANDLE]),
  json: func('flagver_bound_json', 'str', [HANDLE, HANDLE, HANDLE]),
};
const { bool, int, double, string, json } = flagFunctions;
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

  return {
    flag: key,
    value: error ? undefined : valueOf(view.getInt32(AT.type, true), strings.text),
    variant: strings.name(pointerAt(AT.variant)),
    reason: REASONS[view.getInt32(AT.reason, true)],
    errorCode: error ? ERRORS[error] : null,
    rule: strings.name(pointerAt(AT.rule)),
    bucket: view.getInt32(AT.bucket, true),
    version,
    metadata: metadata ? JSON.parse(strings.name(metadata)) : null,
  };
}

const freshStrings = { name: decode, text: plainText };

/**
 * The strings of one state of the flags, by address. When the state changes the memory may be
 * used for others, so it begins anew.
 */
export class Strings {
  #known = new Map();

  forget() {
    this.#known.clear();
  }

  name = (address) => {
    if (!address) return null;
    return this.#known.get(address) ?? this.#keep(address, koffi.decode.string(address));
  };

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

export const withFallback = (detail, fallback) => {
  if (detail.errorCode !== null) detail.value = fallback;
  return detail;
};

export function typeNumber(type) {
  if (type === undefined || type === null) return ANY;
  const number = TYPES.indexOf(type);
  if (number < 0) throw new TypeError(`${JSON.stringify(type)} is no type: ${TYPES.join(', ')}`);
  return number;
}

// ---- the state of a client that evaluations go by ----

/**
 * A client for evaluations: its handle, and the number that changes with every state of its flags,
 * looked at in memory. A closed one has neither.
 */
export class FlagState {
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

  close() {
    this.handle = 0;
    this.words = new Int32Array(2);
    this.strings.forget();
  }
}

// ---- bound flags ----

let construct;

/** A flag looked up once. Lives as long as its client, and survives change and deletion of its flag. */
export class Flag {
  #bound;
  #state;
  #key;
  #client; // is not forgotten as long as one of its flags is used
  // The state of the flags in which the context does not matter, and what was said then, by type.
  #low = 0;
  #high = 0;
  #settled = null;

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

  /** The native context; none where it does not matter, or is none. */
  #context(context) {
    if (this.#state.handle === 0) throw closed('client');
    if (context === undefined || context === null) return 0;
    if (this.#isSettled() && hasGoodKey(context)) return 0;
    return nativeContext(context);
  }

  #isSettled() {
    const { words } = this.#state;
    return this.#settled !== null && words[0] === this.#low && words[1] === this.#high;
  }

  bool(context, fallback = false) {
    if (typeof fallback !== 'boolean') throw wrongFallback(fallback, 'boolean');
    return bool(this.#bound, this.#context(context), fallback);
  }

  int(context, fallback = 0) {
    if (typeof fallback !== 'bigint' && !Number.isSafeInteger(fallback)) throw wrongFallback(fallback, 'integer');
    return int(this.#bound, this.#context(context), fallback);
  }

  double(context, fallback = 0) {
    if (typeof fallback !== 'number') throw wrongFallback(fallback, 'number');
    return double(this.#bound, this.#context(context), fallback);
  }

  string(context, fallback = '') {
    return string(this.#bound, this.#context(context), 0) ?? fallback;
  }

  json(context, fallback = null) {
    const text = json(this.#bound, this.#context(context), 0);
    return text === null ? fallback : JSON.parse(text);
  }

  boolDetail(context, fallback = false) {
    return withFallback(this.#detail(context, BOOL), fallback);
  }

  intDetail(context, fallback = 0) {
    return withFallback(this.#detail(context, INT), fallback);
  }

  doubleDetail(context, fallback = 0) {
    return withFallback(this.#detail(context, DOUBLE), fallback);
  }

  stringDetail(context, fallback = '') {
    return withFallback(this.#detail(context, STRING), fallback);
  }

  jsonDetail(context, fallback = null) {
    return withFallback(this.#detail(context, JSON_TYPE), fallback);
  }

  /** Whatever the flag's own type is; or "boolean", "string", "integer", "double", "json". */
  evaluate(context, type) {
    return this.#detail(context, typeNumber(type));
  }

  #detail(context, type) {
    const state = this.#state;
    const native = this.#context(context);

    evaluate(this.#bound, native, type, DETAIL_AT);
    const same = state.isSame();
    const settled = same && this.#isSettled() ? this.#settled[type] : undefined;
    // Most flags most of the time: nothing to decide, so nothing to read.
    if (settled && view.getInt32(AT.error, true) === 0) return { ...settled, value: copyOf(settled.value) };

    const detail = readDetail(this.#key, state.strings);
    if (!same || !state.isSame()) {
      // The flags have changed during the call: what was read is good, but not to be kept.
      state.strings.forget();
      return detail;
    }
    if (isSettling(detail)) this.#keep(type, detail);
    return detail;
  }

  #keep(type, detail) {
    if (!this.#isSettled()) {
      this.#low = this.#state.words[0];
      this.#high = this.#state.words[1];
      this.#settled = [];
    }
    this.#settled[type] = { ...detail, value: copyOf(detail.value) };
  }
}

/** Whoever asks, and whenever: until the flags change. */
function isSettling(detail) {
  return detail.reason === REASONS[STATIC] || detail.reason === REASONS[DISABLED];
}

function hasGoodKey(context) {
  if (typeof context !== 'object' || isContext(context)) return false;
  const type = typeof context.targetingKey;
  return type === 'string' || type === 'undefined';
}

const copyOf = (value) => (typeof value === 'object' && value !== null ? structuredClone(value) : value);

function wrongFallback(fallback, wanted) {
  return new TypeError(`the default is no ${wanted} but ${typeof fallback === 'number' ? fallback : nameOf(fallback)}`);
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
  evaluateKey(state.handle, key, Buffer.byteLength(key), nativeContext(context), type, DETAIL_AT);
  return readDetail(key, freshStrings);
}

export function evaluateOnSnapshot(snapshot, key, context, type) {
  checkText(key, 'the key');
  evaluateOn(snapshot, key, Buffer.byteLength(key), nativeContext(context), type, DETAIL_AT);
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
