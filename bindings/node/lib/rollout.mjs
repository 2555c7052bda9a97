// Flags in a store as code, and the guards of their schedules.

import { ACTOR, actorOf } from './actor.mjs';
import { ERR, HANDLE, TELL, func, koffi, optionalText, toJson, visitLater, struct } from './native.mjs';
import { JsonText } from './transaction.mjs';

const STEP = struct('flagver_plan_step', { action: 'int32', segment: 'bool', key: 'str', current_no: 'uint32', difference: 'str', phase: 'str' });
const ALERT = struct('flagver_rollout_alert', {
  flag: 'str',
  guard: 'str',
  value: 'double',
  limit: 'double',
  from: 'double',
  to: 'double',
  samples: 'uint64',
  acted: 'bool',
  no: 'uint32',
  why: 'str',
});
const ACTIONS = [null, 'create', 'change', 'delete'];

const flagsPlan = func('flagver_flags_plan', 'int', [HANDLE, 'str', 'size_t', 'str', 'bool', TELL, HANDLE, ERR]);
const flagsExport = func('flagver_flags_export', 'int', [HANDLE, HANDLE, ERR]);
const flagsGuard = func('flagver_flags_guard', 'int', [HANDLE, koffi.pointer(ACTOR), TELL, HANDLE, ERR]);

function stepAt(address) {
  const row = koffi.decode(address, STEP);
  return { action: ACTIONS[row.action], phase: row.phase, key: row.key, currentNo: row.current_no || null, difference: row.difference };
}

const alertAt = (address) => koffi.decode(address, ALERT);

export class FlagStore {
  #core;

  constructor(core) {
    this.#core = core;
  }

  /** What applying a definitions file would do. */
  async plan(definitions, { prune = false, name } = {}) {
    const text = definitions instanceof JsonText ? definitions.text : toJson(definitions, 'definitions');
    const args = [this.#core.use(), text, Buffer.byteLength(text), optionalText(name, 'name'), prune];
    return this.#core.read(() => visitLater(flagsPlan, args, stepAt));
  }

  /** All flags and segments in force as a definitions file: its text. */
  async export() {
    return this.#core.call(flagsExport, (f) => [this.#core.handle, f.out, f.err], (f) => f.text());
  }

  /** Looks at the guards of schedules, once; resolves with those that have tripped. */
  async guard(actor) {
    this.#core.state.tell();
    const args = [this.#core.use(), actorOf(actor)];
    return this.#core.write('guarding', () => visitLater(flagsGuard, args, alertAt));
  }
}
