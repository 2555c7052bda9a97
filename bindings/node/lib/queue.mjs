// Who may wait for the store at once.
//
// Calls that touch the store run on the threads of libuv's pool, of which there are few (4, or
// UV_THREADPOOL_SIZE). A call that waits for another transaction to end holds its thread. If all threads did,
// the commit that they wait for would find none. So transactions of one store begin one after the other,
// and of other calls that may wait there are always fewer than threads.

import { RetryError } from './error.mjs';

const POOL = Math.min(Math.max(Number.parseInt(process.env.UV_THREADPOOL_SIZE ?? '4', 10) || 4, 1), 1024);

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

export async function asWriter(ms, what, run) {
  const leave = await writers.enter(ms, what);
  try {
    return await run();
  } finally {
    leave();
  }
}

const gates = new Map();

/** The gate of a store's transactions; clients of the same URI share it. */
export function gateOf(uri) {
  let entry = gates.get(uri);
  if (!entry) {
    // SQLite has one writer at a time. PostgreSQL lets several in, which may wait for each other's records.
    const width = /^postgres(ql)?:/.test(uri) ? Math.max(POOL - 2, 1) : 1;
    entry = { gate: new Gate(width), users: 0 };
    // A store in memory is its client's alone.
    if (uri !== 'memory:') gates.set(uri, entry);
  }
  entry.users++;
  return {
    gate: entry.gate,
    drop() {
      if (--entry.users === 0) gates.delete(uri);
    },
  };
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
