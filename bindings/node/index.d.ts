// Types of flagver. What each call does in detail, and its limits, is in the headers of libflagver.

/** Values of attributes. A number that is whole is an integer, for buckets too; see Double. */
export type AttributeValue =
  | string
  | number
  | bigint
  | boolean
  | Date
  | Double
  | null
  | undefined
  | readonly AttributeValue[]
  | { readonly [name: string]: AttributeValue };

/** For whom a flag is evaluated. */
export interface Attributes {
  /** Who is asking: a string, or an integer that stands for its decimal text. */
  readonly targetingKey?: string | number | bigint | null | undefined;
  readonly [name: string]: AttributeValue;
}

export type ContextLike = Context | Attributes | null | undefined;

/** A context that is made once and used many times; what it was made of is copied. */
export class Context {
  constructor(attributes?: Attributes);
  /** Forgets everything and takes these attributes. */
  set(attributes?: Attributes): this;
}

/** A number that is handed over as a double even where it is whole. */
export class Double {
  constructor(value: number);
  readonly value: number;
}

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type FlagType = 'boolean' | 'string' | 'integer' | 'double' | 'json';
export type Reason = 'ERROR' | 'STATIC' | 'DEFAULT' | 'TARGETING_MATCH' | 'SPLIT' | 'DISABLED';
export type EvaluationError =
  | 'FLAG_NOT_FOUND'
  | 'PARSE_ERROR'
  | 'TYPE_MISMATCH'
  | 'TARGETING_KEY_MISSING'
  | 'INVALID_CONTEXT'
  | 'GENERAL';

/** How an evaluation went. */
export interface Detail<T> {
  flag: string;
  /** null after an error */
  type: FlagType | null;
  /** what was served, or the default; undefined after an error of evaluate() */
  value: T;
  /** null after an error */
  variant: string | null;
  reason: Reason;
  errorCode: EvaluationError | null;
  /** the id of the rule that decided, or "requires" */
  rule: string | null;
  /** -1: none was used */
  bucket: number;
  /** of the flag in the store; 0: it has none */
  version: number;
  metadata: Readonly<Record<string, Json>> | null;
}

/** Typed getters, which never fail: the default is given where there is no answer. */
export interface Getters<Key extends unknown[]> {
  bool(...args: [...Key, context?: ContextLike, fallback?: boolean]): boolean;
  /** A bigint beyond ±2^53. */
  int(...args: [...Key, context?: ContextLike, fallback?: number | bigint]): number | bigint;
  double(...args: [...Key, context?: ContextLike, fallback?: number]): number;
  string<T extends string | null = string>(...args: [...Key, context?: ContextLike, fallback?: T]): string | T;
  json<T = Json>(...args: [...Key, context?: ContextLike, fallback?: T]): T;
  boolDetail(...args: [...Key, context?: ContextLike, fallback?: boolean]): Detail<boolean>;
  intDetail(...args: [...Key, context?: ContextLike, fallback?: number | bigint]): Detail<number | bigint>;
  doubleDetail(...args: [...Key, context?: ContextLike, fallback?: number]): Detail<number>;
  stringDetail(...args: [...Key, context?: ContextLike, fallback?: string]): Detail<string>;
  jsonDetail<T = Json>(...args: [...Key, context?: ContextLike, fallback?: T]): Detail<T>;
  /** Whatever the flag's own type is, or this one. */
  evaluate(...args: [...Key, context?: ContextLike, type?: FlagType | 'any' | null]): Detail<Json | bigint | undefined>;
}

/** A flag looked up once; survives change and deletion of its flag. */
export class Flag implements Getters<[]> {
  private constructor();
  readonly key: string;
  readonly client: Client;
  bool(context?: ContextLike, fallback?: boolean): boolean;
  int(context?: ContextLike, fallback?: number | bigint): number | bigint;
  double(context?: ContextLike, fallback?: number): number;
  string<T extends string | null = string>(context?: ContextLike, fallback?: T): string | T;
  json<T = Json>(context?: ContextLike, fallback?: T): T;
  /** Canonical JSON text. */
  jsonText<T extends string | null = null>(context?: ContextLike, fallback?: T): string | T;
  boolDetail(context?: ContextLike, fallback?: boolean): Detail<boolean>;
  intDetail(context?: ContextLike, fallback?: number | bigint): Detail<number | bigint>;
  doubleDetail(context?: ContextLike, fallback?: number): Detail<number>;
  stringDetail(context?: ContextLike, fallback?: string): Detail<string>;
  jsonDetail<T = Json>(context?: ContextLike, fallback?: T): Detail<T>;
  evaluate(context?: ContextLike, type?: FlagType | 'any' | null): Detail<Json | bigint | undefined>;
}

/** All flags as they were at one moment. */
export class Snapshot {
  private constructor();
  readonly size: number;
  evaluate(key: string, context?: ContextLike, type?: FlagType | 'any' | null): Detail<Json | bigint | undefined>;
  explain(key: string, context?: ContextLike): Explanation;
  /** Sooner than by itself. */
  close(): void;
}

export interface Explanation {
  flag: string;
  value: Json;
  variant: string | null;
  reason: Reason;
  steps: object[];
  [member: string]: unknown;
}

// ---- errors ----

export class FlagverError extends Error {
  constructor(code: string, message: string, details?: object);
  /** "EINVAL", "ENOTFOUND", …; "ECLOSED": the handle is closed */
  readonly code: string;
  readonly native: number;
  readonly line: number;
  readonly column: number;
  readonly sqlstate: string;
  /** of an operation of a route that failed */
  readonly result?: RouteResult;
}
/** The same call fails again. */
export class MistakeError extends FlagverError {}
/** Nothing happened; the same call may succeed later. */
export class RetryError extends FlagverError {}
/** It is not known whether the change took place. */
export class UnknownOutcomeError extends FlagverError {}
/** The handle can only be closed. */
export class BrokenError extends FlagverError {}
export class LibraryError extends Error {
  readonly code: 'ELIBRARY';
}

// ---- the client ----

/** Who acts: an id, or an id with roles. */
export type Actor = string | { readonly id: string; readonly roles?: readonly string[] };

/** A Date, or microseconds since 1970. Times that are given back are such numbers. */
export type Time = Date | number | bigint;

export interface OpenOptions {
  /** A thread of the library's own follows changes (true). */
  background?: boolean;
  tenant?: string;
  cacheFile?: string;
  /** How long to wait for others that write (5,000). */
  waitMs?: number;
  pollMs?: number;
  keyFile?: string;
  /** How often what was tracked is flushed (60,000). */
  flushMs?: number;
  /** In whose name guards of schedules take flags back, after each flush. */
  guardian?: Actor;
  /** Whether environment variables override flags (true). */
  environment?: boolean;
  /** Milliseconds since 1970; only where there is no store. It must not ask flags. */
  clock?: () => number;
}

/** "sqlite:PATH", "postgresql://…", "memory:", "file:PATH" or "definitions:". */
export function open(uri: string, options?: OpenOptions): Promise<Client>;

export interface Health {
  status: 'ok' | 'stale' | 'forked';
  uri: string;
  tenant: string;
  flags: number;
  generation: number;
  refreshed: string | null;
  error: { code: string; message: string; since: string } | null;
  malformed: { flag?: string; segment?: string; why: string }[];
  [member: string]: unknown;
}

export interface Count {
  flag: string;
  /** null: evaluations that ended in an error */
  variant: string | null;
  count: number | bigint;
}

export interface TransactionOptions {
  /** Makes a second run of the transaction harmless, for 7 days. */
  idempotencyKey?: string;
  /** How long it may stay open (30,000); -1: as long as it likes. */
  timeoutMs?: number;
}

export class Client implements Getters<[key: string]> {
  private constructor();
  readonly closed: boolean;
  /** A number that changes with every state of the flags. */
  readonly generation: number;
  readonly versions: Versions;
  readonly flags: FlagStore;
  readonly audit: Audit;
  readonly ids: Ids;
  readonly tracking: Tracking;
  readonly migrations: Migrations;

  bool(key: string, context?: ContextLike, fallback?: boolean): boolean;
  int(key: string, context?: ContextLike, fallback?: number | bigint): number | bigint;
  double(key: string, context?: ContextLike, fallback?: number): number;
  string<T extends string | null = string>(key: string, context?: ContextLike, fallback?: T): string | T;
  json<T = Json>(key: string, context?: ContextLike, fallback?: T): T;
  boolDetail(key: string, context?: ContextLike, fallback?: boolean): Detail<boolean>;
  intDetail(key: string, context?: ContextLike, fallback?: number | bigint): Detail<number | bigint>;
  doubleDetail(key: string, context?: ContextLike, fallback?: number): Detail<number>;
  stringDetail(key: string, context?: ContextLike, fallback?: string): Detail<string>;
  jsonDetail<T = Json>(key: string, context?: ContextLike, fallback?: T): Detail<T>;
  evaluate(key: string, context?: ContextLike, type?: FlagType | 'any' | null): Detail<Json | bigint | undefined>;

  bind(key: string): Flag;
  /** All flags for one context, in byte order of their keys. */
  all(context?: ContextLike): Detail<Json | bigint | undefined>[];
  counts(): Count[];
  /** Serves this variant to everyone in this process; null takes it back. */
  override(key: string, variant: string | null): void;
  explain(key: string, context?: ContextLike): Explanation;
  health(): Health;
  snapshot(): Snapshot;
  snapshotAt(time: Time): Promise<Snapshot>;
  /** Told which flags may answer differently. The result ends it. */
  listen(changed: (keys: string[]) => void): () => void;
  /** Something happened that flags are measured by. */
  track(event: string, context?: ContextLike, value?: number): void;

  /** Definitions for a "definitions:" client, an object or JSON text. */
  load(definitions: object | string): void;
  merge(definitions: object | string): void;
  refresh(): Promise<void>;
  reopen(): Promise<void>;
  tenant(name: string): Promise<Client>;

  begin(actor: Actor, options?: TransactionOptions): Promise<Transaction>;
  /** Runs it and commits; again after errors of class RetryError, up to 10 times. */
  transaction<T>(actor: Actor, run: (txn: Transaction) => T | Promise<T>, options?: TransactionOptions): Promise<T>;
  /** `migration` is null where options.flag says the stage. */
  route(migration: string | null, options: RouteOptions): Promise<Route>;

  close(): Promise<void>;
}

/** What is allowed in definitions but hardly meant, one line each; malformed ones throw. */
export function lint(definitions: object | string, name?: string): string[];

// ---- versions ----

export type State = 'draft' | 'submitted' | 'approved' | 'superseded' | 'rejected' | 'withdrawn' | 'recorded';
export type PayloadState = 'none' | 'here' | 'shredded' | 'sealed';

export interface Version {
  phase: string;
  subject: string;
  id: string;
  no: number;
  parentNo: number | null;
  baseNo: number | null;
  revertsNo: number | null;
  supersededBy: number | null;
  state: State;
  tombstone: boolean;
  emergency: boolean;
  rev: number;
  /** times are microseconds since 1970 */
  createdAt: number;
  submittedAt: number | null;
  decidedAt: number | null;
  supersededAt: number | null;
  createdBy: string | null;
  decidedBy: string | null;
  note: string | null;
  contentHash: string;
  /** parsed; undefined when payloadState is not "here" */
  payload: any;
  /** the same as canonical JSON text */
  text: string | null;
  payloadState: PayloadState;
}

export type ItemStatus = 'pending' | 'approved' | 'rejected';

export interface Item {
  key: string;
  originNo: number;
  status: ItemStatus;
  decidedBy: string | null;
  decidedAt: number | null;
  note: string | null;
  hash: string;
  payload: any;
  text: string | null;
  payloadState: PayloadState;
}

export interface ListOptions {
  prefix?: string;
  after?: string;
  afterNo?: number;
  limit?: number;
  backwards?: boolean;
  /** with payloads (true) */
  payload?: boolean;
  /** tombstones too */
  all?: boolean;
  states?: State | State[];
  asOf?: Time;
  author?: string;
}

/** Called with one after the other instead of collecting them; false ends the walk, and a promise is an error. */
export type Each<T> = (element: T) => unknown;

export interface Versions {
  current(phase: string, subject: string): Promise<Version>;
  get(phase: string, subject: string, no: number): Promise<Version>;
  asOf(phase: string, subject: string, time: Time): Promise<Version>;
  byId(id: string): Promise<Version>;
  history(phase: string, subject: string, options?: ListOptions): Promise<Version[]>;
  history(phase: string, subject: string, options: ListOptions | undefined, each: Each<Version>): Promise<number>;
  list(phase?: string | null, options?: ListOptions): Promise<Version[]>;
  list(phase: string | null | undefined, options: ListOptions | undefined, each: Each<Version>): Promise<number>;
  /** What waits for this actor. */
  due(actor: Actor, phase?: string | null, options?: ListOptions): Promise<Version[]>;
  due(actor: Actor, phase: string | null | undefined, options: ListOptions | undefined, each: Each<Version>): Promise<number>;
  items(phase: string, subject: string, no: number): Promise<Item[]>;
  items(phase: string, subject: string, no: number, each: Each<Item>): Promise<number>;
  votes(phase: string, subject: string, no: number): Promise<{ actor: string; note: string | null; time: number; contentHash: string }[]>;
  authors(phase: string, subject: string, no: number): Promise<string[]>;
  diff(phase: string, subject: string, from: number, to: number, form?: 'lines'): Promise<string>;
  diff(phase: string, subject: string, from: number, to: number, form: 'merge-patch'): Promise<any>;
  policy(phase: string, subject?: string): Promise<Record<string, unknown>>;
  metrics(options?: {
    phase?: string;
    prefix?: string;
    from?: Time;
    to?: Time;
    parts?: number;
    byMonth?: boolean;
  }): Promise<MetricGroup[]>;
}

export interface Hours {
  count: number;
  mean: number;
  median: number;
  p95: number;
}

export interface MetricGroup {
  phase: string;
  subject: string;
  month: string;
  created: number;
  emergencies: number;
  states: Record<State, number>;
  toSubmit: Hours;
  toApprove: Hours;
}

// ---- transactions ----

/** Options of a write; a string is a note. */
export type WriteOptions =
  | string
  | {
      note?: string;
      /** the number that must be current, or "none" */
      expect?: number | 'none';
      submit?: boolean;
      emergency?: boolean;
      /** the content that was looked at */
      contentHash?: string;
      parent?: number;
      baseline?: number;
    };

/** A payload that is JSON text already. */
export class JsonText {
  constructor(text: string);
  readonly text: string;
}

/** Anything that JSON can say, or JsonText. */
export type Payload = unknown;

export class Transaction {
  private constructor();
  readonly client: Client;
  readonly flags: FlagWriter;
  readonly segments: SegmentWriter;
  readonly versions: VersionWriter;
  readonly items: ItemWriter;
  readonly ids: IdWriter;
  lock(phase: string, subjects: string[]): Promise<void>;
  commit(): Promise<void>;
  /** Ends it; does nothing where it has ended. */
  rollback(): Promise<void>;
}

/** Each resolves with the number of the version that it has made. */
export interface FlagWriter {
  put(key: string, definition: Payload, options?: WriteOptions): Promise<number>;
  enable(key: string, options?: WriteOptions): Promise<number>;
  disable(key: string, options?: WriteOptions): Promise<number>;
  ramp(key: string, percentage: number, options?: WriteOptions): Promise<number>;
  release(key: string, options?: WriteOptions): Promise<number>;
  betaAdd(key: string, users: string[], options?: WriteOptions): Promise<number>;
  betaRemove(key: string, users: string[], options?: WriteOptions): Promise<number>;
  /** null takes the schedule away. */
  schedule(key: string, schedule: Payload | null, options?: WriteOptions): Promise<number>;
  revert(key: string, no: number, options?: WriteOptions): Promise<number>;
  delete(key: string, options?: WriteOptions): Promise<number>;
  /** A definitions file; resolves with the number of steps. */
  apply(
    definitions: Payload,
    options?: { prune?: boolean; name?: string; note?: string; expect?: number | 'none' },
  ): Promise<number>;
}

export interface SegmentWriter {
  put(name: string, segment: Payload, options?: WriteOptions): Promise<number>;
  revert(name: string, no: number, options?: WriteOptions): Promise<number>;
  delete(name: string, options?: WriteOptions): Promise<number>;
}

type WriteNo = (phase: string, subject: string, no: number, options?: WriteOptions) => Promise<Version>;
type WritePayload = (phase: string, subject: string, payload: Payload, options?: WriteOptions) => Promise<Version>;

export interface VersionWriter {
  create: WritePayload;
  put: WritePayload;
  record: WritePayload;
  edit(phase: string, subject: string, no: number, payload: Payload, options?: WriteOptions): Promise<Version>;
  submit: WriteNo;
  rebase: WriteNo;
  return: WriteNo;
  approve: WriteNo;
  reject: WriteNo;
  withdraw: WriteNo;
  revert: WriteNo;
  review: WriteNo;
  remove(phase: string, subject: string, options?: WriteOptions): Promise<Version>;
  shred(phase: string, subject: string, no: number, note?: string): Promise<void>;
  retain(phase: string, prefix: string | null, before: Time, note?: string): Promise<number | bigint>;
  assign(role: string, subject: string, user: string, options?: WriteOptions): Promise<number>;
  unassign(role: string, subject: string, user: string, options?: WriteOptions): Promise<number>;
}

export interface ItemWriter {
  put(phase: string, subject: string, no: number, items: Record<string, Payload>, options?: WriteOptions): Promise<Version>;
  remove(phase: string, subject: string, no: number, keys: string[], options?: WriteOptions): Promise<Version>;
  decide(
    phase: string,
    subject: string,
    no: number,
    keys: string[],
    status: ItemStatus,
    options?: WriteOptions,
  ): Promise<Version>;
}

export interface IdWriter {
  put(entity: string, oldId: string, newId: string): Promise<void>;
  /** What the old id is mapped to; where it is not, it is mapped now. */
  new(entity: string, oldId: string, newId?: string): Promise<string>;
  remove(entity: string, oldId: string): Promise<void>;
  get(entity: string, oldId: string): Promise<string>;
  getOld(entity: string, newId: string): Promise<string>;
}

export interface IdEntry {
  entity: string;
  oldId: string;
  newId: string;
  time: number;
}

export interface Ids {
  get(entity: string, oldId: string): Promise<string>;
  getOld(entity: string, newId: string): Promise<string>;
  list(entity?: string | null, options?: { after?: string }): Promise<IdEntry[]>;
  list(entity: string | null | undefined, options: { after?: string } | undefined, each: Each<IdEntry>): Promise<number>;
}

export function uuidV5(namespace: string, name: string): string;
export function uuidV8(namespace: string, name: string): string;

// ---- flags in a store ----

export interface PlanStep {
  action: 'create' | 'change' | 'delete';
  phase: string;
  key: string;
  currentNo: number | null;
  difference: string;
}

export interface RolloutAlert {
  flag: string;
  guard: string;
  value: number;
  limit: number;
  from: number;
  to: number;
  samples: number;
  acted: boolean;
  no: number;
  why: string | null;
}

export interface FlagStore {
  plan(definitions: Payload, options?: { prune?: boolean; name?: string }): Promise<PlanStep[]>;
  /** All flags and segments in force as a definitions file. */
  export(): Promise<string>;
  /** Looks at the guards of schedules, once; resolves with those that have tripped. */
  guard(actor: Actor): Promise<RolloutAlert[]>;
}

// ---- audit ----

export interface AuditEntry {
  no: number;
  time: number;
  actor: string;
  action: string;
  phase: string;
  subject: string;
  versionNo: number;
  supersedes: number | null;
  from: State | null;
  to: State | null;
  bits: number;
  rev: number;
  policy: string;
  policyNo: number;
  rule: string;
  idempotencyKey: string | null;
  contentHash: string;
  leafHash: string;
  noteHash: string;
  decisionsHash: string;
}

export interface AuditHead {
  size: number | bigint;
  root: string;
}

export interface Proof {
  first: number | bigint;
  second: number | bigint;
  leaf: string;
  hashes: string[];
}

export interface VerifyOptions {
  checkpoint?: string;
  verifier?: string;
  treeOnly?: boolean;
}

export interface VerifyResult {
  leaves: number;
  versions: number;
  payloads: number;
  sealed: number;
  shredded: number;
  findings: number;
  root: string;
  lines: string[];
}

export interface Audit {
  /** The change feed; `next` is what to ask for next time. */
  log(from?: number | bigint, limit?: number): Promise<{ entries: AuditEntry[]; next: number | bigint }>;
  head(): Promise<AuditHead>;
  checkpoint(options?: { origin?: string; signer?: string }): Promise<string>;
  proveInclusion(no: number | bigint, size?: number | bigint): Promise<Proof>;
  proveConsistency(oldSize: number | bigint, size?: number | bigint): Promise<Proof>;
  verify(options?: VerifyOptions): Promise<VerifyResult>;
}

export function verifyExport(path: string, options?: VerifyOptions): Promise<VerifyResult>;
export function auditKeys(name: string): { signer: string; verifier: string };
export function readCheckpoint(checkpoint: string, verifier?: string): AuditHead;
export function provesInclusion(proof: Proof, root: string): boolean;
export function provesConsistency(proof: Proof, oldRoot: string, root: string): boolean;

// ---- tracking ----

export interface TrackOptions {
  flag?: string;
  from?: Time;
  to?: Time;
  by?: 'all' | 'day' | 'hour';
  /** what this client has counted, flushed or not */
  own?: boolean;
}

export interface TrackGroup {
  /** "": of an event by itself */
  flag: string;
  /** "": of an event by itself, or of evaluations that ended in an error */
  variant: string;
  /** null: about the flag itself */
  event: string | null;
  from: number;
  evaluations: number;
  succeeded: number;
  failed: number;
  timed: number;
  errorRate: number;
  meanMs: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  count: number;
  sum: number;
}

export interface Tracking {
  event(event: string, context?: ContextLike, value?: number): void;
  outcome(flag: string, variant: string | null, options?: { failed?: boolean; latencyMs?: number }): void;
  /** Runs the code behind a flag, and counts how it fares. */
  run<V, T>(detail: Detail<V>, code: (value: V) => T | Promise<T>): Promise<T>;
  flush(): Promise<void>;
  report(options?: TrackOptions): Promise<TrackGroup[]>;
  openMetrics(options?: TrackOptions): Promise<string>;
  forget(before: Time): Promise<void>;
}

// ---- routes ----

export type Stage = 'off' | 'dualwrite' | 'backfill' | 'shadow' | 'ramp' | 'live' | 'rampdown' | 'complete';
export type SideName = 'old' | 'new';

export interface SideCall {
  operation: 'read' | 'write' | 'remove' | 'scan' | 'deactivate' | 'count' | 'find';
  side: SideName;
  key: string | null;
  operationId: string;
  payload: Buffer | null;
  deadlineNs: number | bigint;
}

/**
 * A system. Its functions are synchronous: what they throw is its error, and a promise is one, too.
 */
export interface Side {
  /** The record's value; undefined or null: there is none. */
  read(key: string, call: SideCall): string | Uint8Array | null | undefined;
  /** A null key creates a record and returns its key. */
  write(key: string | null, value: Buffer, call: SideCall): unknown;
  remove?(key: string, call: SideCall): void;
  /**
   * About `limit` records behind `after`, in byte order of their keys' UTF-8, in which Buffer.compare() has them:
   * beyond U+FFFF strings are compared otherwise. `end`: there are no more.
   */
  scan?(after: string, limit: number, call: SideCall): { rows: Iterable<[string, string | Uint8Array]>; end: boolean };
  deactivate?(call: SideCall): void;
  count?(call: SideCall): number;
  /** The key of the record that this operation has created. */
  findByOperation?(operationId: string, call: SideCall): string | null | undefined;
}

export interface SideResult {
  invoked: boolean;
  code: string | null;
  latencyNs: number;
}

export interface RouteResult {
  value: Buffer | null;
  key: string | null;
  stage: Stage | null;
  side: SideName;
  sides: Record<SideName, SideResult & { message: string | null }>;
  /** null: they were not compared */
  consistent: boolean | null;
  /** the other side has not got it yet */
  pending: boolean;
}

export interface RouteEvent {
  route: string;
  operation: 'read' | 'write' | 'remove';
  key: string | null;
  /** milliseconds since 1970 */
  time: number;
  stage: Stage;
  defaultStage: Stage | null;
  version: number;
  reason: Reason;
  errorCode: EvaluationError | null;
  sides: Record<SideName, SideResult>;
  consistent: boolean | null;
  checkRatio: number;
  samplingRatio: number;
  /** in the form of LaunchDarkly's `migration_op`; null for what it does not have */
  migrationOp: Record<string, any> | null;
}

export interface RouteAlert {
  route: string;
  guard: string;
  value: number;
  limit: number;
  stage: Stage;
  acted: boolean;
}

export interface RouteOptions {
  old: Side;
  new: Side;
  /** The stage comes from this flag. */
  flag?: string;
  defaultStage?: Stage;
  /** Are two values of a record equal? undefined: it cannot be told. */
  compare?: (oldValue: Buffer, newValue: Buffer, key: string) => boolean | undefined;
  order?: 'serial' | 'random';
  shadowTimeoutMs?: number;
  checkRatio?: number;
  samplingRatio?: number;
  event?: (event: RouteEvent) => void;
  alert?: (alert: RouteAlert) => void;
  /** Steps are taken by themselves, four times a second. */
  background?: boolean;
  chunkMs?: number;
  copyShare?: number;
  /** Before each chunk of a copy: 0 go on, above: after so many ms, below: not in this step. */
  throttle?: () => number;
  /** What steps do about differences, when all is copied: 'call', the default, leaves them to verify(). */
  verify?: 'call' | 'report' | 'repair';
  /** Told of each difference that steps find. */
  difference?: (difference: Difference) => void;
}

export interface CallOptions {
  context?: ContextLike;
  payload?: string | Uint8Array;
  operationId?: string;
  strict?: boolean;
}

export interface Change {
  percentage?: number;
  forced?: string;
  note?: string;
  waitMs?: number;
}

export interface Progress {
  stage: Stage;
  settled: boolean;
  copiedAll: boolean;
  repaired: number;
  unrepaired: number;
  waiting: number;
  copied: number;
  oldestMs: number;
  copiedSoFar: number;
  copyTotal: number;
  copyRate: number;
  copyLeftMs: number | null;
  restMs: number;
  verified: boolean;
  comparedSoFar: number;
  compareRate: number;
  compareLeftMs: number | null;
  differences: number;
  leftOut: number;
}

export interface Difference {
  kind: 'missing_in_new' | 'extra_in_new' | 'value';
  key: string;
  old: Buffer | null;
  new: Buffer | null;
}

export class Route {
  private constructor();
  readonly client: Client;
  read(key: string, options?: CallOptions): Promise<RouteResult>;
  write(key: string | null, value: string | Uint8Array, options?: CallOptions): Promise<RouteResult>;
  remove(key: string, options?: CallOptions): Promise<RouteResult>;
  stage(actor: Actor, stage: Stage, change?: Change): Promise<void>;
  /** Takes it all back; can be called until it succeeds. */
  rollback(actor: Actor, note?: string): Promise<void>;
  step(budgetMs?: number): Promise<Progress>;
  status(): Promise<Record<string, any>>;
  verify(
    options?: { chunk?: number; confirmMs?: number; repair?: boolean },
    each?: Each<Difference>,
  ): Promise<{ compared: number | bigint; differences: number | bigint; leftOut: number | bigint; list: Difference[] }>;
  close(): Promise<void>;
}

/** Migrations for who does not have their sides. */
export interface Migrations {
  stage(migration: string, actor: Actor, stage: Stage, change?: Change): Promise<void>;
  rollback(migration: string, actor: Actor, change?: Change): Promise<void>;
  status(migration: string): Promise<Record<string, any>>;
}

/** Where the library was found, and its version. */
export const libraryPath: string;
export const libraryVersion: string;
