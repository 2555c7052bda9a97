// What becomes of flags: outcomes of the code behind them, events, and the sums of both.

import { nativeContext } from './context.mjs';
import { ERR, HANDLE, TELL, callLater, callNow, checkText, func, koffi, micros, optionalText, pack, visitLater, struct } from './native.mjs';

const OPTIONS = struct('flagver_track_options', { size: 'size_t', flag: 'str', from: 'int64', to: 'int64', by: 'int32', own: 'int32' });
const GROUP = struct('flagver_track_group', {
  flag: 'str',
  variant: 'str',
  event: 'str',
  from: 'int64',
  evaluations: 'uint64',
  succeeded: 'uint64',
  failed: 'uint64',
  timed: 'uint64',
  error_rate: 'double',
  mean_ms: 'double',
  p50_ms: 'double',
  p95_ms: 'double',
  p99_ms: 'double',
  count: 'uint64',
  sum: 'double',
});

const track = func('flagver_track', 'int', [HANDLE, HANDLE, 'str', 'double', ERR]);
const trackOutcome = func('flagver_track_outcome', 'int', [HANDLE, 'str', 'str', 'bool', 'int64', ERR]);
const trackFlush = func('flagver_track_flush', 'int', [HANDLE, ERR]);
const WHICH = koffi.pointer(OPTIONS);
const trackReport = func('flagver_track_report', 'int', [HANDLE, WHICH, TELL, HANDLE, ERR]);
const trackMetrics = func('flagver_track_openmetrics', 'int', [HANDLE, WHICH, HANDLE, ERR]);
const trackForget = func('flagver_track_forget', 'int', [HANDLE, 'int64', ERR]);

const BY = { all: 0, day: 1, hour: 2 };
const UNKNOWN = -1;

function which({ flag, from, to, by = 'all', own = false } = {}) {
  if (!Object.hasOwn(BY, by)) throw new TypeError(`${JSON.stringify(by)} is none of all, day, hour`);
  return pack(OPTIONS, {
    flag: optionalText(flag, 'flag'),
    from: from === undefined ? 0 : micros(from, 'from'),
    to: to === undefined ? 0 : micros(to, 'to'),
    by: BY[by],
    own: own ? 1 : 0,
  });
}

function groupAt(address) {
  const row = koffi.decode(address, GROUP);
  return {
    flag: row.flag,
    variant: row.variant,
    event: row.event,
    from: row.from,
    evaluations: row.evaluations,
    succeeded: row.succeeded,
    failed: row.failed,
    timed: row.timed,
    errorRate: row.error_rate,
    meanMs: row.mean_ms,
    p50Ms: row.p50_ms,
    p95Ms: row.p95_ms,
    p99Ms: row.p99_ms,
    count: row.count,
    sum: row.sum,
  };
}

export class Tracking {
  #core;

  constructor(core) {
    this.#core = core;
  }

  event(event, context, value = 1) {
    if (typeof value !== 'number') throw new TypeError('the value of an event is no number');
    const native = nativeContext(context);
    callNow(track, (f) => [this.#core.use(), native, checkText(event, 'the event'), value, f.err]);
  }

  /** The code behind a flag has run; `variant` as in the detail of the evaluation. */
  outcome(flag, variant, { failed = false, latencyMs } = {}) {
    const known = latencyMs !== undefined;
    if (known && !(typeof latencyMs === 'number' && latencyMs >= 0)) throw new TypeError('latencyMs is no length of time');
    const latency = known ? Math.min(Math.round(latencyMs * 1e6), Number.MAX_SAFE_INTEGER) : UNKNOWN;
    callNow(trackOutcome, (f) => [
      this.#core.use(),
      checkText(flag, 'the flag'),
      optionalText(variant, 'the variant'),
      Boolean(failed),
      latency,
      f.err,
    ]);
  }

  /** Runs the code behind a flag, and counts how it fares. */
  async run(detail, code) {
    const began = performance.now();
    let failed = true;
    try {
      const result = await code(detail.value);
      failed = false;
      return result;
    } finally {
      this.outcome(detail.flag, detail.variant, { failed, latencyMs: performance.now() - began });
    }
  }

  async flush() {
    this.#core.state.tell();
    await this.#core.write('flushing', () => callLater(trackFlush, (f) => [this.#core.handle, f.err]));
  }

  async report(options) {
    this.#core.state.tell();
    const args = [this.#core.use(), which(options)];
    return this.#core.read(() => visitLater(trackReport, args, groupAt));
  }

  async openMetrics(options) {
    this.#core.state.tell();
    const native = which(options);
    return this.#core.call(trackMetrics, (f) => [this.#core.handle, native, f.out, f.err], (f) => f.text());
  }

  async forget(before) {
    const time = micros(before);
    await this.#core.write('forgetting', () => callLater(trackForget, (f) => [this.#core.handle, time, f.err]));
  }
}
