// Contexts: for whom a flag is evaluated. Native, so that an evaluation hands over one number.

import { HANDLE, callNow, func, nameOf } from './native.mjs';
import { RetryError, mistake } from './error.mjs';

const contextNew = func('flagver_context_new', HANDLE, ['str']);
const contextFree = func('flagver_context_free', 'void', [HANDLE]);
const contextReset = func('flagver_context_reset', 'int', [HANDLE, 'str']);
const contextSetKey = func('flagver_context_set_key', 'int', [HANDLE, 'str', 'size_t']);
const setNull = func('flagver_context_set_null', 'int', [HANDLE, 'str']);
const setBool = func('flagver_context_set_bool', 'int', [HANDLE, 'str', 'bool']);
const setInt = func('flagver_context_set_int', 'int', [HANDLE, 'str', 'int64']);
const setDouble = func('flagver_context_set_double', 'int', [HANDLE, 'str', 'double']);
const setString = func('flagver_context_set_string', 'int', [HANDLE, 'str', 'str']);
const setBytes = func('flagver_context_set_bytes', 'int', [HANDLE, 'str', 'str', 'size_t']);
const setDatetime = func('flagver_context_set_datetime', 'int', [HANDLE, 'str', 'int64']);
const beginList = func('flagver_context_begin_list', 'int', [HANDLE, 'str']);
const beginObject = func('flagver_context_begin_object', 'int', [HANDLE, 'str']);
const end = func('flagver_context_end', 'int', [HANDLE]);
const fromJson = func('flagver_context_from_json', 'int', ['str', 'size_t', HANDLE, HANDLE]);

const DEPTH = 100;
const INT64_LIMIT = 1n << 63n;

/** What a targeting key that is no string or integer becomes: every evaluation says INVALID_CONTEXT. */
const invalid = callNow(fromJson, (f) => ['{"targetingKey":true}', 21, f.out, f.err], (f) => f.handle());

/** The key as a string; null: there is none; undefined: it is none. */
function keyOf(value) {
  switch (typeof value) {
    case 'string':
      return value;
    case 'undefined':
      return null;
    case 'number':
      return Number.isSafeInteger(value) ? String(value) : undefined;
    case 'bigint':
      return -INT64_LIMIT <= value && value < INT64_LIMIT ? String(value) : undefined;
    default:
      return value === null ? null : undefined;
  }
}

function check(result, name) {
  if (result < 0) throw mistake('EINVAL', `attribute ${JSON.stringify(name)}: a name is 1 to 255 bytes long`);
}

/** `name` is null inside a list. */
function setValue(handle, name, value, depth) {
  switch (typeof value) {
    case 'string':
      return value.includes('\0')
        ? setBytes(handle, name, value, Buffer.byteLength(value))
        : setString(handle, name, value);
    case 'number':
      return Number.isSafeInteger(value) ? setInt(handle, name, value) : setDouble(handle, name, value);
    case 'boolean':
      return setBool(handle, name, value);
    case 'bigint':
      if (value < -INT64_LIMIT || value >= INT64_LIMIT)
        throw new RangeError(`attribute ${JSON.stringify(name)}: ${value} does not fit 64 bits`);
      return setInt(handle, name, value);
    case 'object':
      return setObject(handle, name, value, depth);
    case 'undefined':
      return setNull(handle, name);
    default:
      throw new TypeError(`attribute ${JSON.stringify(name)} is a ${typeof value}`);
  }
}

/** A number that is handed over as a double even where it is whole: it is no key of a bucket then. */
export class Double {
  constructor(value) {
    if (typeof value !== 'number') throw new TypeError(`a double is made of a number, not ${nameOf(value)}`);
    this.value = value;
    Object.freeze(this);
  }
}

function setObject(handle, name, value, depth) {
  if (value === null) return setNull(handle, name);
  if (value instanceof Double) return setDouble(handle, name, value.value);
  if (value instanceof Date) {
    const ms = value.getTime();
    return Number.isNaN(ms) ? setNull(handle, name) : setDatetime(handle, name, ms);
  }
  if (value instanceof Context || ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
    throw new TypeError(`attribute ${JSON.stringify(name)} is a ${value.constructor.name}`);
  if (depth === DEPTH) throw new RangeError(`attribute ${JSON.stringify(name)}: values nest deeper than ${DEPTH}`);

  const list = Array.isArray(value);
  const r = list ? beginList(handle, name) : beginObject(handle, name);
  if (r < 0) return r;
  if (list) for (const element of value) setValue(handle, null, element, depth + 1);
  else setMembers(handle, value, depth + 1);
  return end(handle);
}

function setMembers(handle, object, depth) {
  for (const name of Object.keys(object)) {
    const value = object[name];
    if (value !== undefined) setAttribute(handle, name, value, depth);
  }
}

function setAttribute(handle, name, value, depth) {
  if (name.includes('\0')) throw new TypeError(`attribute ${JSON.stringify(name)}: a name has no NUL characters`);
  check(setValue(handle, name, value, depth), name);
}

function setKey(handle, key) {
  if (key !== null && key.includes('\0')) {
    contextReset(handle, null);
    return contextSetKey(handle, key, Buffer.byteLength(key));
  }
  return contextReset(handle, key);
}

/** Makes the native context what this object says; the handle to evaluate with, which may be another one. */
function fill(handle, object) {
  const key = keyOf(object.targetingKey);
  if (key === undefined) return invalid;
  if (setKey(handle, key) < 0) throw mistake('ENOMEM', 'memory is short');
  for (const name of Object.keys(object)) {
    if (name === 'targetingKey') continue;
    const value = object[name];
    if (value !== undefined) setAttribute(handle, name, value, 0);
  }
  return handle;
}

function newHandle() {
  const handle = contextNew(null);
  if (!handle) throw mistake('ENOMEM', 'memory is short');
  return handle;
}

const lost = new FinalizationRegistry((handle) => contextFree(handle));

/**
 * A context that is made once and used many times. What it was made of may change or go: it is copied.
 */
export class Context {
  #handle;
  #used;
  #held = 0;

  constructor(attributes) {
    this.#handle = newHandle();
    lost.register(this, this.#handle, this);
    this.set(attributes);
  }

  /** Forget everything and take these attributes. After an exception it is an empty context. */
  set(attributes = {}) {
    checkContext(attributes);
    if (is(attributes)) throw new TypeError('a context is made of a plain object');
    checkUnlocked();
    if (this.#held) throw new RetryError('EBUSY', 'the context is in use by a call that is under way');
    this.#held++; // its own getters must not fill it, too
    try {
      this.#used = fill(this.#handle, attributes);
    } catch (error) {
      // A list or object may be open: a fresh one is sure to be empty.
      this.#replace();
      throw error;
    } finally {
      this.#held--;
    }
    return this;
  }

  #replace() {
    const fresh = newHandle();
    lost.unregister(this);
    contextFree(this.#handle);
    this.#handle = this.#used = fresh;
    lost.register(this, fresh, this);
  }

  static handleOf(context) {
    return context.#used;
  }

  static is(value) {
    return #used in value;
  }

  static hold(context, by) {
    context.#held += by;
  }
}

function checkContext(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError(`a context is an object, not ${nameOf(value)}`);
}

const { handleOf, is, hold } = Context;
// They are for this package, which has taken them.
delete Context.handleOf;
delete Context.is;
delete Context.hold;

/** Whether a flag that serves the same to everyone serves it to this one, too. */
export function hasValidKey(context) {
  if (context === undefined || context === null) return true;
  if (typeof context !== 'object') return false;
  if (is(context)) return handleOf(context) !== invalid;
  const type = typeof context.targetingKey;
  return type === 'string' || type === 'undefined';
}

// ---- plain objects ----

/**
 * Native contexts that plain objects were put into, by targeting key. Programs ask several flags for the same
 * user, often with an object that was made anew: as long as it says the same nothing is handed over again.
 */
const recent = new Map();
const RECENT_LIMIT = 64;
let busy = false;
let locked = false;

/** Runs a function of the program's that is called in the middle of an evaluation: contexts stay as they are. */
export function withContextsLocked(run) {
  const before = locked;
  locked = true;
  try {
    return run();
  } finally {
    locked = before;
  }
}

function checkUnlocked() {
  if (locked) throw new RetryError('EBUSY', 'a clock must not ask flags, or change a context');
}

class Recent {
  handle = newHandle();
  names = [];
  values = [];

  /** Whether this is what it was filled with. Lists, objects and dates may have changed inside. */
  isLike(object) {
    let i = 0;
    for (const name in object) {
      if (i === this.names.length || name !== this.names[i]) return false;
      const value = object[name];
      if (value !== this.values[i++] || (typeof value === 'object' && value !== null)) return false;
    }
    return i === this.names.length;
  }

  /** Of another key: a key that is not enumerated could not be told apart. */
  forget() {
    this.names = [];
    this.values = [];
  }

  fill(object) {
    this.forget();
    const used = fill(this.handle, object);
    // Only what is enumerated in the same way later can be compared.
    for (const name in object) {
      this.names.push(name);
      this.values.push(object[name]);
    }
    return used;
  }
}

function recentOf(key) {
  const known = recent.get(key);
  if (known) return known;
  let entry;
  if (recent.size < RECENT_LIMIT) {
    entry = new Recent();
  } else {
    const [oldest] = recent.keys();
    entry = recent.get(oldest);
    recent.delete(oldest);
    entry.forget();
  }
  recent.set(key, entry);
  return entry;
}

/**
 * The native context of a Context, a plain object or nothing. Good until the next call of this
 * function; an object's own getters may evaluate flags, for which there is another one.
 */
export function nativeContext(value) {
  if (value === undefined || value === null) return 0;
  checkContext(value);
  checkUnlocked();
  if (is(value)) return handleOf(value);
  if (busy) return handleOf(new Context(value)); // freed with a later collection, not during this call

  busy = true;
  try {
    const key = value.targetingKey;
    const entry = recentOf(key);
    if (entry.names.length > 0 && entry.isLike(value)) return keyOf(key) === undefined ? invalid : entry.handle;
    return refill(key, entry, value);
  } finally {
    busy = false;
  }
}

function refill(key, entry, value) {
  try {
    return entry.fill(value);
  } catch (error) {
    // A list may be open in it.
    recent.delete(key);
    contextFree(entry.handle);
    throw error;
  }
}

/** Runs a call on another thread with a native context, which stays as it is until that is over. */
export async function withContext(value, run) {
  if (value === undefined || value === null) return run(0);
  checkContext(value);
  const context = is(value) ? value : new Context(value);
  hold(context, 1);
  try {
    return await run(handleOf(context));
  } finally {
    hold(context, -1);
  }
}
