// Reading versions of records: they are immutable, and need no transaction.

import { ACTOR, actorOf } from './actor.mjs';
import { ERR, HANDLE, VISIT, checkInteger, checkText, func, hex, koffi, micros, optionalText, pack, visitLater, visitor, struct } from './native.mjs';

const VERSION = struct('flagver_version', {
  phase: 'str',
  subject: 'str',
  id: 'str',
  no: 'uint32',
  parent_no: 'uint32',
  base_no: 'uint32',
  reverts_no: 'uint32',
  superseded_by: 'uint32',
  state: 'int32',
  tombstone: 'bool',
  rev: 'int64',
  created_at: 'int64',
  submitted_at: 'int64',
  decided_at: 'int64',
  superseded_at: 'int64',
  created_by: 'str',
  decided_by: 'str',
  note: 'str',
  content_hash: koffi.array('uint8', 32),
  payload: 'str',
  payload_length: 'size_t',
  emergency: 'bool',
  payload_state: 'int32',
});
const LIST = struct('flagver_list_options', {
  size: 'size_t',
  prefix: 'str',
  after: 'str',
  after_no: 'uint32',
  limit: 'uint32',
  backwards: 'int32',
  payload: 'int32',
  all: 'int32',
  states: 'uint32',
  as_of: 'int64',
  author: 'str',
});
const ITEM = struct('flagver_item', {
  key: 'str',
  origin_no: 'uint32',
  status: 'int32',
  decided_by: 'str',
  note: 'str',
  decided_at: 'int64',
  hash: koffi.array('uint8', 32),
  payload: 'str',
  payload_length: 'size_t',
  payload_state: 'int32',
});
const VOTE = struct('flagver_vote', { actor: 'str', note: 'str', time: 'int64', content_hash: koffi.array('uint8', 32) });
const HOURS = struct('flagver_metric_hours', { count: 'uint64', mean: 'double', median: 'double', p95: 'double' });
const METRIC_OPTIONS = struct('flagver_metric_options', {
  size: 'size_t',
  phase: 'str',
  prefix: 'str',
  from: 'int64',
  to: 'int64',
  parts: 'int32',
  by_month: 'int32',
});
const METRIC = struct('flagver_metric_group', {
  phase: 'str',
  subject: 'str',
  month: 'str',
  created: 'uint64',
  emergencies: 'uint64',
  states: koffi.array('uint64', 8, 'Array'),
  to_submit: HOURS,
  to_approve: HOURS,
});

const versionFree = func('flagver_version_free', 'void', [HANDLE]);
const stateName = func('flagver_state_name', 'str', ['int']);
const statusName = func('flagver_item_status_name', 'str', ['int32']);
const versionCurrent = func('flagver_version_current', 'int', [HANDLE, 'str', 'str', HANDLE, ERR]);
const versionGet = func('flagver_version_get', 'int', [HANDLE, 'str', 'str', 'uint32', HANDLE, ERR]);
const versionAsOf = func('flagver_version_as_of', 'int', [HANDLE, 'str', 'str', 'int64', HANDLE, ERR]);
const versionById = func('flagver_version_by_id', 'int', [HANDLE, 'str', HANDLE, ERR]);
const LISTED = koffi.pointer(LIST);
const versionHistory = func('flagver_version_history', 'int', [HANDLE, 'str', 'str', LISTED, VISIT, HANDLE, ERR]);
const versionList = func('flagver_version_list', 'int', [HANDLE, 'str', LISTED, VISIT, HANDLE, ERR]);
const versionDue = func('flagver_version_due', 'int', [HANDLE, koffi.pointer(ACTOR), 'str', LISTED, VISIT, HANDLE, ERR]);
const versionDiff = func('flagver_version_diff', 'int', [HANDLE, 'str', 'str', 'uint32', 'uint32', 'int', HANDLE, ERR]);
const phasePolicy = func('flagver_phase_policy', 'int', [HANDLE, 'str', 'str', HANDLE, ERR]);
const itemsList = func('flagver_items_list', 'int', [HANDLE, 'str', 'str', 'uint32', VISIT, HANDLE, ERR]);
const votesList = func('flagver_votes_list', 'int', [HANDLE, 'str', 'str', 'uint32', VISIT, HANDLE, ERR]);
const authorsList = func('flagver_authors_list', 'int', [HANDLE, 'str', 'str', 'uint32', VISIT, HANDLE, ERR]);
const versionMetrics = func('flagver_version_metrics', 'int', [HANDLE, koffi.pointer(METRIC_OPTIONS), visitor('void', 1), HANDLE, ERR]);

const namesOf = (function_, from) => {
  const names = [];
  for (let i = from; function_(i); i++) names[i] = function_(i);
  return names;
};
const STATES = namesOf(stateName, 1);
const STATUSES = namesOf(statusName, statusName(0) ? 0 : 1);
const PAYLOADS = ['none', 'here', 'shredded', 'sealed'];
const PAYLOAD_HERE = 1;

const orNull = (number) => number || null;

/** A payload's members, shared by versions and items. */
function payloadOf(row) {
  return {
    payload: row.payload_state === PAYLOAD_HERE && row.payload ? JSON.parse(row.payload) : undefined,
    text: row.payload_state === PAYLOAD_HERE ? row.payload : null,
    payloadState: PAYLOADS[row.payload_state],
  };
}

export function versionAt(address) {
  const row = koffi.decode(address, VERSION);
  return {
    phase: row.phase,
    subject: row.subject,
    id: row.id,
    no: row.no,
    parentNo: orNull(row.parent_no),
    baseNo: orNull(row.base_no),
    revertsNo: orNull(row.reverts_no),
    supersededBy: orNull(row.superseded_by),
    state: STATES[row.state],
    tombstone: row.tombstone,
    emergency: row.emergency,
    rev: row.rev,
    createdAt: row.created_at,
    submittedAt: orNull(row.submitted_at),
    decidedAt: orNull(row.decided_at),
    supersededAt: orNull(row.superseded_at),
    createdBy: row.created_by,
    decidedBy: row.decided_by,
    note: row.note,
    contentHash: hex(row.content_hash),
    ...payloadOf(row),
  };
}

/** A version that a call has given back: read, and freed. */
export function takeVersion(frame) {
  const address = frame.handle();
  if (!address) return null;
  try {
    return versionAt(address);
  } finally {
    versionFree(address);
  }
}

function itemAt(address) {
  const row = koffi.decode(address, ITEM);
  return {
    key: row.key,
    originNo: row.origin_no,
    status: STATUSES[row.status],
    decidedBy: row.decided_by,
    decidedAt: orNull(row.decided_at),
    note: row.note,
    hash: hex(row.hash),
    ...payloadOf(row),
  };
}

function voteAt(address) {
  const row = koffi.decode(address, VOTE);
  return { actor: row.actor, note: row.note, time: row.time, contentHash: hex(row.content_hash) };
}

function metricAt(address) {
  const row = koffi.decode(address, METRIC);
  return {
    phase: row.phase,
    subject: row.subject,
    month: row.month,
    created: row.created,
    emergencies: row.emergencies,
    states: Object.fromEntries(STATES.map((name, i) => [name, Number(row.states[i])]).filter(([name]) => name)),
    toSubmit: row.to_submit,
    toApprove: row.to_approve,
  };
}

export function statusNumber(status) {
  const number = STATUSES.indexOf(status);
  if (number < 0) throw new TypeError(`${JSON.stringify(status)} is no status: ${STATUSES.filter(Boolean).join(', ')}`);
  return number;
}

function stateBits(states) {
  if (states === undefined) return 0;
  return (Array.isArray(states) ? states : [states]).reduce((bits, name) => {
    const number = STATES.indexOf(name);
    if (number < 0) throw new TypeError(`${JSON.stringify(name)} is no state: ${STATES.filter(Boolean).join(', ')}`);
    return bits | (1 << number);
  }, 0);
}

function listOf(options = {}) {
  return pack(LIST, {
    prefix: optionalText(options.prefix, 'prefix'),
    after: optionalText(options.after, 'after'),
    after_no: number(options.afterNo ?? 0, 'afterNo'),
    limit: number(options.limit ?? 0, 'limit'),
    backwards: options.backwards ? 1 : 0,
    payload: options.payload === false ? 0 : 1,
    all: options.all ? 1 : 0,
    states: stateBits(options.states),
    as_of: options.asOf === undefined ? 0 : micros(options.asOf, 'asOf'),
    author: optionalText(options.author, 'author'),
  });
}

export const number = (value, what) => checkInteger(value, what, 0, 0xffffffff);
export const phaseText = (phase) => checkText(phase, 'the phase');
export const subjectText = (subject) => checkText(subject, 'the subject');

const FORMS = { lines: 1, 'merge-patch': 2 };

/** `each` is called with one element after the other instead of collecting them; false ends the walk. */
export class Versions {
  #core;

  constructor(core) {
    this.#core = core;
  }

  #one(fn, args) {
    return this.#core.call(fn, (f) => [this.#core.handle, ...args, f.out, f.err], takeVersion);
  }

  #all(fn, args, read, each) {
    this.#core.use();
    return this.#core.read(() => visitLater(fn, [this.#core.handle, ...args], read, each));
  }

  async current(phase, subject) {
    return this.#one(versionCurrent, [phaseText(phase), subjectText(subject)]);
  }

  async get(phase, subject, no) {
    return this.#one(versionGet, [phaseText(phase), subjectText(subject), number(no, 'the number')]);
  }

  async asOf(phase, subject, time) {
    return this.#one(versionAsOf, [phaseText(phase), subjectText(subject), micros(time)]);
  }

  async byId(id) {
    return this.#one(versionById, [checkText(id, 'the id')]);
  }

  async history(phase, subject, options, each) {
    return this.#all(versionHistory, [phaseText(phase), subjectText(subject), listOf(options)], versionAt, each);
  }

  async list(phase, options, each) {
    return this.#all(versionList, [optionalText(phase, 'the phase'), listOf(options)], versionAt, each);
  }

  async due(actor, phase, options, each) {
    return this.#all(versionDue, [actorOf(actor), optionalText(phase, 'the phase'), listOf(options)], versionAt, each);
  }

  async items(phase, subject, no, each) {
    return this.#all(itemsList, [phaseText(phase), subjectText(subject), number(no, 'the number')], itemAt, each);
  }

  async votes(phase, subject, no) {
    return this.#all(votesList, [phaseText(phase), subjectText(subject), number(no, 'the number')], voteAt);
  }

  async authors(phase, subject, no) {
    return this.#all(authorsList, [phaseText(phase), subjectText(subject), number(no, 'the number')], (a) => koffi.decode.string(a));
  }

  /** Lines for people, or (form "merge-patch") an RFC 7396 patch as an object. */
  async diff(phase, subject, from, to, form = 'lines') {
    if (!Object.hasOwn(FORMS, form)) throw new TypeError(`${JSON.stringify(form)} is no form: lines, merge-patch`);
    const numbers = [number(from, 'the first number'), number(to, 'the second number')];
    const names = [phaseText(phase), subjectText(subject)];
    const text = await this.#core.call(
      versionDiff,
      (f) => [this.#core.handle, ...names, ...numbers, FORMS[form], f.out, f.err],
      (f) => f.text(),
    );
    return form === 'lines' ? text : JSON.parse(text);
  }

  async policy(phase, subject) {
    const names = [phaseText(phase), optionalText(subject, 'the subject')];
    return JSON.parse(await this.#core.call(phasePolicy, (f) => [this.#core.handle, ...names, f.out, f.err], (f) => f.text()));
  }

  async metrics(options = {}) {
    const native = pack(METRIC_OPTIONS, {
      phase: optionalText(options.phase, 'phase'),
      prefix: optionalText(options.prefix, 'prefix'),
      from: options.from === undefined ? 0 : micros(options.from, 'from'),
      to: options.to === undefined ? 0 : micros(options.to, 'to'),
      parts: checkInteger(options.parts ?? 0, 'parts', 0, 1000),
      by_month: options.byMonth ? 1 : 0,
    });
    return this.#all(versionMetrics, [native], metricAt);
  }
}
