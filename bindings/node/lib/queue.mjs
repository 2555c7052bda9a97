// Who may wait for the store at once.
//
// Calls that touch the store run on the threads of libuv's pool, of which there are few (4, or
// UV_THREADPOOL_SIZE). A call that waits for another transaction to end holds its thread. If all threads did,
// the commit that they wait for would find none. So transactions of one store begin one after the other,
// and of other calls that may wait there are always fewer than threads. The pool is shared by all worker
// threads, so each store has places, which are shared by those that were started by a thread that knew of them.

import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { RetryError } from './error.mjs';

/** So many calls a thread has under way at once: half of what koffi has room for, the rest is for other packages. */
export const CALLS = 128;

const POOL = Math.min(Math.max(Number.parseInt(process.env.UV_THREADPOOL_SIZE ?? '4', 10) || 4, 1), CALLS);

/** Lets so many in at once, first come first served. */
export class Gate {
  #free;
  #waiting = [];

  constructor(width) {
    this.#free = width;
  }

  /** Resolves with a function that is to be called once, to leave. */
  enter(ms, what) {
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve(this.#leaver());
    }
    return new Promise((resolve, reject) => {
      const place = { resolve, timer: null };
      place.timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(place), 1);
        reject(new RetryError('EBUSY', `${what} has waited for ${ms} ms for others of this process`));
      }, ms);
      this.#waiting.push(place);
    });
  }

  #leaver() {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.#waiting.shift();
      if (!next) {
        this.#free++;
        return;
      }
      clearTimeout(next.timer);
      next.resolve(this.#leaver());
    };
  }
}

/** For calls that write by themselves: one thread stays free, and one is the transaction's. */
const writers = new Gate(Math.max(POOL - 2, 1));

/** `places` are those of the store, or null. */
export async function asWriter(ms, what, run, places) {
  const leave = await writers.enter(ms, what);
  try {
    const go = await places?.take(ms, what, WRITER_MS, places.all);
    try {
      return await run();
    } finally {
      go?.();
    }
  } finally {
    leave();
  }
}

// ---- among threads of the process ----

const PLACES = Math.max(POOL - 1, 1);
const STORES = 64;
const SHARED = 'flagver.places';
const WRITER_MS = 10000;
const FOREVER_MS = 86400000;

/** Until when each place is taken, in milliseconds since 1970: a thread that was ended never gives its back. */
function sharedPlaces() {
  const known = getEnvironmentData(SHARED);
  if (known instanceof SharedArrayBuffer) return new BigInt64Array(known);
  const memory = new SharedArrayBuffer(8 * STORES * PLACES);
  setEnvironmentData(SHARED, memory);
  return new BigInt64Array(memory);
}

const taken = sharedPlaces();

/** The places of one store, one less than the pool has threads. Two stores may share theirs by chance. */
class Places {
  #first;

  constructor(uri) {
    this.all = taken.length / STORES;
    this.forTransactions = Math.max(this.all - 1, 1); // one is left for calls that write by themselves
    let hash = 0;
    for (const char of uri) hash = (Math.imul(hash, 31) + char.codePointAt(0)) >>> 0;
    this.#first = (hash % STORES) * this.all;
  }

  /** Resolves with a function that gives the place back. */
  async take(ms, what, holdMs, count) {
    const end = Date.now() + ms;
    for (let pause = 1; ; pause = Math.min(pause * 2, 16)) {
      const leave = this.#tryOne(holdMs < 0 ? FOREVER_MS : holdMs, count);
      if (leave) return leave;
      if (Date.now() >= end) throw new RetryError('EBUSY', `${what} has waited for ${ms} ms for other threads of this process`);
      await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)));
    }
  }

  #tryOne(holdMs, count) {
    const now = Date.now();
    for (let i = this.#first; i < this.#first + count; i++) {
      const until = Atomics.load(taken, i);
      if (until > now) continue;
      const mine = BigInt(now + holdMs);
      if (Atomics.compareExchange(taken, i, until, mine) === until) return () => void Atomics.compareExchange(taken, i, mine, 0n);
    }
    return null;
  }
}

const gates = new Map();

/** The gate of a store's transactions, and its places; clients of the same URI share them. */
export function gateOf(uri) {
  let entry = gates.get(uri);
  if (!entry) {
    // SQLite has one writer at a time. PostgreSQL lets several in, which may wait for each other's records.
    const width = /^postgres(ql)?:/.test(uri) ? Math.max(POOL - 2, 1) : 1;
    entry = { gate: new Gate(width), places: uri === 'memory:' ? null : new Places(uri), users: 0 };
    // A store in memory is its client's alone.
    if (uri !== 'memory:') gates.set(uri, entry);
  }
  entry.users++;
  return {
    places: entry.places,
    /** For a transaction that may stay open for so long; resolves with what is called to leave. */
    async enter(ms, holdMs) {
      const leave = await entry.gate.enter(ms, 'a transaction');
      try {
        const go = await entry.places?.take(ms, 'a transaction', holdMs, entry.places.forTransactions);
        return () => {
          go?.();
          leave();
        };
      } catch (error) {
        leave();
        throw error;
      }
    },
    /** Closing writes what is left to be written, and cannot be refused: it waits until it is its turn. */
    last(run) {
      return asWriter(FOREVER_MS, 'closing', run, entry.places);
    },
    drop() {
      if (--entry.users === 0) gates.delete(uri);
    },
  };
}

/** What is under way on other threads: whoever closes what it uses waits for it. */
export class Calls {
  #count = 0;
  #none = null;

  get any() {
    return this.#count > 0;
  }

  async during(run) {
    this.#count++;
    try {
      return await run();
    } finally {
      if (--this.#count === 0) this.#none?.();
    }
  }

  /** Resolves when there is none. */
  async none() {
    while (this.any) await new Promise((resolve) => (this.#none = resolve));
  }
}

/** One after the other: what may be used by one thread at a time. */
export class Turn {
  #last = Promise.resolve();

  take(run) {
    const result = this.#last.then(run);
    this.#last = result.then(ignore, ignore);
    return result;
  }
}

const ignore = () => {};
