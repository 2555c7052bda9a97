// What is shared by all that call the library: types, memory, calls on this thread and on others.
//
// Handles are plain numbers: addresses stay below 2^53, and a number is the cheapest thing to hand
// over. They never leave this package, so that nobody can hand over a wrong one.

import koffi from 'koffi';
import { CLASSES, FlagverError, mistake } from './error.mjs';
import { func } from './library.mjs';
import { CALLS } from './queue.mjs';

export const HANDLE = 'uintptr_t';
export const ERR = HANDLE;

/** A visitor's type: what it gets are addresses. */
export const visitor = (result, count) =>
  koffi.pointer(koffi.proto(result, ['void *', ...Array(count).fill('void *')]));

export const VISIT = visitor('bool', 1);
export const TELL = visitor('void', 1);

// ---- structures ----

/** Those of the library that are used here, by their names in C: tests compare them with the headers. */
export const layouts = new Map();

const laid = new Map();

export function struct(name, members) {
  const type = koffi.struct(members);
  layouts.set(name, type);
  laid.set(type, {
    size: koffi.sizeof(type),
    members: Object.entries(members).map(([member, of]) => ({ member, of, at: koffi.offsetof(type, member) })),
  });
  return type;
}

/** Known from the beginning: where a worker thread is ended while it asks koffi, the process ends with it. */
export const sizeOf = (type) => laid.get(type).size;

const PUT = {
  bool: (block, at, value) => block.bytes.writeUInt8(value ? 1 : 0, at),
  int32: (block, at, value) => block.bytes.writeInt32LE(value, at),
  uint32: (block, at, value) => block.bytes.writeUInt32LE(value, at),
  int64: (block, at, value) => block.bytes.writeBigInt64LE(BigInt(value), at),
  uint64: (block, at, value) => block.bytes.writeBigUInt64LE(BigInt(value), at),
  size_t: (block, at, value) => block.bytes.writeBigUInt64LE(BigInt(value), at),
  [HANDLE]: (block, at, value) => block.bytes.writeBigUInt64LE(BigInt(value), at),
  double: (block, at, value) => block.bytes.writeDoubleLE(value, at),
  str: (block, at, text) => block.point(at, Buffer.from(`${text}\0`)),
  'str *': (block, at, texts) => block.pointToTexts(at, texts),
  'uint8 *': (block, at, bytes) => block.point(at, bytes),
};

/** An array that is part of the structure. */
const putBytes = (block, at, bytes) => block.bytes.set(bytes, at);

/** Memory that does not move, and whose pointers are into itself. */
class Block {
  #behind = [];
  #end;

  constructor(size) {
    this.bytes = Buffer.alloc(size);
    this.#end = size;
  }

  /** What is pointed to is aligned as pointers are. */
  point(at, bytes) {
    const start = (this.#end + 7) & ~7;
    this.#behind.push({ at, start, bytes });
    this.#end = start + bytes.length;
  }

  pointToTexts(at, texts) {
    const start = (this.#end + 7) & ~7;
    this.point(at, Buffer.alloc(8 * texts.length));
    texts.forEach((text, i) => PUT.str(this, start + 8 * i, text));
  }

  done() {
    const block = Buffer.from(new ArrayBuffer(Math.max(this.#end, 8)));
    const base = koffi.address(block);
    block.set(this.bytes);
    for (const { start, bytes } of this.#behind) block.set(bytes, start);
    for (const { at, start } of this.#behind) block.writeBigUInt64LE(base + BigInt(start), at);
    return block;
  }
}

/**
 * Structures that a call is given, one behind the other, as bytes. koffi would read an object's members
 * itself, and where the worker thread that it runs on is ended meanwhile it goes on with what it could not
 * read: that ends the process. To bytes it only points.
 */
export function packAll(type, rows) {
  const { size, members } = laid.get(type);
  const block = new Block(size * rows.length);

  rows.forEach((row, i) => {
    for (const { member, of, at } of members) {
      const value = row[member] ?? null;
      if (value !== null) (PUT[of] ?? putBytes)(block, i * size + at, value);
    }
  });
  return block.done();
}

/** Its size is the first member of most of them. */
export const pack = (type, values) => packAll(type, [{ size: sizeOf(type), ...values }]);

/** An array of texts, likewise. */
export function packTexts(texts) {
  const block = new Block(8 * texts.length);
  texts.forEach((text, i) => PUT.str(block, 8 * i, text));
  return block.done();
}

// ---- memory for outputs ----

export const ERROR = struct('flagver_error', {
  code: 'int32',
  native: 'int32',
  line: 'int32',
  column: 'int32',
  sqlstate: koffi.array('char', 8, 'String'),
  message: koffi.array('char', 1024, 'String'),
});
const ERROR_SIZE = sizeOf(ERROR);
const FRAME_SIZE = 8192;

/**
 * A piece of memory that does not move, for one call: the error, and behind it what the call gives
 * back. Frames are used again; they are as many as calls were ever under way at once.
 */
class Frame {
  constructor() {
    const block = koffi.alloc('uint8', FRAME_SIZE);
    this.err = Number(koffi.address(block));
    this.out = this.err + ERROR_SIZE;
    const memory = koffi.view(block, FRAME_SIZE);
    this.code = new Int32Array(memory, 0, 1);
    this.view = new DataView(memory, ERROR_SIZE);
  }

  handle(offset = 0) {
    return Number(this.view.getBigUint64(offset, true));
  }

  uint64(offset = 0) {
    return narrow(this.view.getBigUint64(offset, true));
  }

  uint32(offset = 0) {
    return this.view.getUint32(offset, true);
  }

  bytes(offset, length) {
    return Buffer.from(new Uint8Array(this.view.buffer, ERROR_SIZE + offset, length));
  }

  string(offset = 0) {
    return koffi.decode.string(this.out + offset);
  }

  /** A text that the library handed out: copied, and freed. */
  text(offset = 0) {
    const address = this.handle(offset);
    const text = koffi.decode.string(address);
    free(address);
    return text;
  }
}

const frames = [];
const takeFrame = () => frames.pop() ?? new Frame();
const giveFrame = (frame) => void frames.push(frame);

const free = func('flagver_string_free', 'void', [HANDLE]);

/** A 64-bit number as a number where it is sure to be the same, else as a bigint. */
export function narrow(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(value);
}

// ---- errors ----

const errorName = func('flagver_error_name', 'str', ['int']);
const errorClass = func('flagver_error_class', 'int', ['int']);
const strerror = func('flagver_strerror', 'str', ['int']);

/** The number of a code by its name, for functions that the library calls. */
export const CODES = new Map();
for (let code = -1; errorName(code); code--) CODES.set(errorName(code), code);

function errorOf(code, frame) {
  const told = frame ? koffi.decode(frame.err, ERROR) : null;
  const Class = CLASSES[errorClass(code)] ?? FlagverError;
  // A call that has no more to say leaves the memory as it was.
  return told && told.code === code
    ? new Class(errorName(code), told.message, told)
    : new Class(errorName(code) ?? String(code), strerror(code));
}

/** Fills the flagver_error of a function of ours that the library called. */
export function tellError(address, code, message) {
  if (!address) return;
  koffi.encode(address, ERROR, {
    code,
    native: 0,
    line: 0,
    column: 0,
    sqlstate: '',
    message: cut(message.replace(/[\r\n\0]+/g, ' '), 1000),
  });
}

function cut(text, limit) {
  const bytes = Buffer.from(text);
  return bytes.length <= limit ? text : bytes.subarray(0, limit).toString().replace(/\ufffd$/, '');
}

// ---- calls ----

/** Calls on this thread: for what waits for nobody. `use` sees the frame before it is used again. */
export function callNow(fn, args, use) {
  const frame = takeFrame();
  try {
    clearError(frame);
    const result = fn(...args(frame));
    if (result < 0) throw errorOf(result, frame);
    return use ? use(frame, result) : result;
  } finally {
    giveFrame(frame);
  }
}

let underWay = 0;
const waiting = [];

/** koffi refuses calls when too many are under way: what is too much for it waits here. */
function whenThereIsRoom(run) {
  if (underWay === CALLS) {
    waiting.push(run);
    return;
  }
  underWay++;
  run();
}

function makeRoom() {
  const next = waiting.shift();
  if (next) queueMicrotask(next); // it may fail at once, and make room for the one behind it
  else underWay--;
}

/**
 * Calls on a thread of the pool. Functions among the arguments run on this thread meanwhile; what they
 * throw ends the call and is thrown here. `refused` sees the error and the frame of a call that failed.
 */
export function callLater(fn, args, use, refused) {
  return new Promise((resolve, reject) => whenThereIsRoom(() => begin(fn, args, use, refused, resolve, reject)));
}

function begin(fn, args, use, refused, resolve, reject) {
  const frame = takeFrame();
  let given = null; // koffi points into bytes among them, and keeps none: `done`, which it keeps, does
  clearError(frame);
  const done = (failure, result) => {
    try {
      if (failure) throw failure;
      if (result < 0) {
        const error = errorOf(result, frame);
        refused?.(error, frame);
        throw error;
      }
      resolve(use ? use(frame, result) : result);
    } catch (error) {
      reject(error);
    } finally {
      given = null;
      giveFrame(frame);
      makeRoom();
    }
  };
  try {
    given = args(frame);
    fn.async(...given, done);
  } catch (error) {
    giveFrame(frame);
    makeRoom();
    reject(error);
  }
}

const clearError = (frame) => frame.code.fill(0);

/**
 * A list that the library tells one by one: read(address) makes an element. All are collected; or
 * `each` is called with one after the other, and may end the walk by returning false.
 */
export async function visitLater(fn, args, read, each) {
  const list = [];
  let thrown = null;

  const visit = (_, address) => {
    try {
      const element = read(address);
      if (!each) return list.push(element) > 0;
      return synchronous(each(element), 'the visitor') !== false;
    } catch (error) {
      thrown ??= { error };
      return false;
    }
  };
  const result = await callLater(fn, (frame) => [...args, visit, 0, frame.err]).catch((error) => {
    throw thrown ? thrown.error : error;
  });
  if (thrown) throw thrown.error;
  return each ? result : list;
}

/** What a function returned that is called while the library waits for it. */
export function synchronous(result, name) {
  if (typeof result?.then !== 'function') return result;
  result.then(undefined, () => {}); // it is refused already
  throw mistake('EINVAL', `${name} returned a promise: it has to be synchronous`);
}

// ---- texts and times ----

export function checkText(value, what) {
  if (typeof value !== 'string') throw new TypeError(`${what} is no string but ${nameOf(value)}`);
  if (value.includes('\0')) throw new TypeError(`${what} contains a NUL character`);
  if (!value.isWellFormed()) throw new TypeError(`${what} contains half of a pair of surrogates`);
  return value;
}

export function optionalText(value, what) {
  return value === undefined || value === null ? null : checkText(value, what);
}

export function checkFunction(value, what) {
  if (typeof value !== 'function') throw new TypeError(`${what} is no function but ${nameOf(value)}`);
  return value;
}

export function nameOf(value) {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
}

export function checkInteger(value, what, low, high) {
  if (!Number.isInteger(value) || value < low || value > high)
    throw new RangeError(`${what} is ${String(value)}; ${low} to ${high} allowed`);
  return value;
}

/** Microseconds since 1970, of a Date or such a number. */
export function micros(time, what = 'the time') {
  const value = time instanceof Date ? time.getTime() * 1000 : time;
  if (typeof value === 'bigint') {
    if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${what} is ${value}; 64 bits allowed`);
    return value;
  }
  if (!Number.isSafeInteger(value)) throw new TypeError(`${what} is neither a Date nor whole microseconds`);
  return value;
}

/** JSON of a value; a Date and what has toJSON go as usual. */
export function toJson(value, what) {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${what} is nothing that JSON can say`);
  return text;
}

export const hex = (bytes) => Buffer.from(bytes).toString('hex');

export function fromHex(text, what) {
  if (typeof text !== 'string' || !/^[0-9a-fA-F]{64}$/.test(text)) throw new TypeError(`${what} is no hash of 64 hex digits`);
  return Buffer.from(text, 'hex');
}

export { func, koffi };
