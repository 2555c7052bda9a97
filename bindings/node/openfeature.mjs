// An OpenFeature provider for @openfeature/server-sdk.

import { ErrorCode, OpenFeatureEventEmitter, ProviderEvents } from '@openfeature/server-sdk';
import { GeneralError, InvalidContextError, ProviderFatalError } from '@openfeature/server-sdk';
import { open } from './index.mjs';
import { BrokenError, RetryError } from './lib/error.mjs';

const HEALTH_MS = 1000;
const REOPEN_MS = 5000;

const WORDS = {
  FLAG_NOT_FOUND: (detail) => `there is no flag "${detail.flag}"`,
  PARSE_ERROR: (detail) => `flag "${detail.flag}" is malformed, or refers to what is not there`,
  TYPE_MISMATCH: (detail) => `flag "${detail.flag}" is of another type`,
  TARGETING_KEY_MISSING: (detail) => `flag "${detail.flag}" needs a targeting key`,
  INVALID_CONTEXT: () => 'the targeting key is no string',
  GENERAL: () => 'memory is short',
};

/** Metadata of the flag, as far as OpenFeature has a place for them, and what we know of the evaluation. */
function metadataOf(detail) {
  const metadata = {};
  if (detail.metadata !== null)
    for (const [name, value] of Object.entries(detail.metadata))
      if (['boolean', 'string', 'number'].includes(typeof value)) metadata[name] = value;
  if (detail.version > 0) metadata.version = detail.version;
  if (detail.rule !== null) metadata.ruleId = detail.rule;
  if (detail.bucket >= 0) metadata.bucket = detail.bucket;
  return metadata;
}

function resolutionOf(detail, fallback) {
  if (detail.errorCode === null)
    return { value: detail.value, variant: detail.variant, reason: detail.reason, flagMetadata: metadataOf(detail) };
  return {
    value: fallback,
    reason: 'ERROR',
    errorCode: ErrorCode[detail.errorCode],
    errorMessage: WORDS[detail.errorCode](detail),
    flagMetadata: metadataOf(detail),
  };
}

export class FlagverProvider {
  runsOn = 'server';
  metadata = { name: 'flagver' };
  hooks = [];
  events = new OpenFeatureEventEmitter();

  #source;
  #options;
  #client = null;
  #own = false;
  #unlisten = null;
  #timer = null;
  #status = 'NOT_READY';
  #turn = Promise.resolve();

  /** Of a URI, with options of open(): a client of the provider's own. Or of a client, which stays its owner's. */
  constructor(source, options) {
    if (typeof source !== 'string' && typeof source?.bind !== 'function')
      throw new TypeError('a provider is made of a URI or a client');
    this.#source = source;
    this.#options = options;
  }

  /** The client that is asked; null before initialize() and after onClose(). */
  get client() {
    return this.#client;
  }

  // ---- life ----

  initialize() {
    return this.#inTurn(() => this.#open());
  }

  /** Back to where it was before initialize(). A second time does nothing. */
  onClose() {
    return this.#inTurn(() => this.#shut());
  }

  #inTurn(run) {
    const result = this.#turn.then(run);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #open() {
    if (this.#client) return;
    try {
      this.#own = typeof this.#source === 'string';
      this.#client = this.#own ? await open(this.#source, this.#options) : this.#source;
      this.#unlisten = this.#client.listen((keys) => this.#changed(keys));
    } catch (error) {
      this.#client = null;
      this.#status = 'ERROR';
      if (!(error instanceof RetryError)) throw new ProviderFatalError(error.message, { cause: error });
      this.#every(REOPEN_MS, () => this.#tryAgain());
      throw new GeneralError(error.message, { cause: error });
    }
    this.#status = 'READY';
    this.#every(HEALTH_MS, () => this.#look());
  }

  async #shut() {
    clearInterval(this.#timer);
    this.#timer = null;
    const client = this.#client;
    this.#client = null;
    this.#status = 'NOT_READY';
    if (!client) return;
    this.#unlisten();
    if (this.#own) await client.close();
  }

  #every(ms, run) {
    clearInterval(this.#timer);
    this.#timer = setInterval(run, ms).unref();
  }

  async #tryAgain() {
    await this.#inTurn(() => (this.#timer && !this.#client ? this.#open() : undefined)).then(
      () => this.#client && this.events.emit(ProviderEvents.Ready, { message: 'the store can be used again' }),
      () => {}, // the next time, perhaps
    );
  }

  // ---- events ----

  #changed(flagsChanged) {
    this.events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged });
  }

  #look() {
    const { status, message, errorCode } = this.#health();
    if (status === this.#status) return;
    this.#status = status;
    if (status === 'READY') this.events.emit(ProviderEvents.Ready, { message: 'the flags are up to date again' });
    else if (status === 'STALE') this.events.emit(ProviderEvents.Stale, { message });
    else this.events.emit(ProviderEvents.Error, { message, errorCode });
  }

  #health() {
    try {
      const { status, error } = this.#client.health();
      if (status === 'ok') return { status: 'READY' };
      const message = error?.message ?? `the client is ${status}`;
      // The last flags go on answering; but a store that contradicts itself will not come back.
      const broken = error?.code === 'ECORRUPT';
      return broken ? { status: 'ERROR', message, errorCode: ErrorCode.GENERAL } : { status: 'STALE', message };
    } catch (error) {
      const errorCode = error instanceof BrokenError ? ErrorCode.PROVIDER_FATAL : ErrorCode.GENERAL;
      return { status: 'ERROR', message: error.message, errorCode };
    }
  }

  // ---- evaluation ----

  #ask(key, context, type, fallback) {
    const client = this.#client;
    if (!client) return notReady(fallback);
    try {
      return resolutionOf(client.evaluate(key, context, type), fallback);
    } catch (error) {
      // Attributes that a context cannot have.
      if (error instanceof TypeError || error instanceof RangeError) throw new InvalidContextError(error.message, { cause: error });
      throw new GeneralError(error.message, { cause: error });
    }
  }

  async resolveBooleanEvaluation(key, fallback, context) {
    return this.#ask(key, context, 'boolean', fallback);
  }

  async resolveStringEvaluation(key, fallback, context) {
    return this.#ask(key, context, 'string', fallback);
  }

  async resolveNumberEvaluation(key, fallback, context) {
    return this.#ask(key, context, 'double', fallback);
  }

  async resolveObjectEvaluation(key, fallback, context) {
    return this.#ask(key, context, 'json', fallback);
  }

  // ---- tracking ----

  /** Counted under its name, and for each flag whose metadata name it. Never throws. */
  track(event, context, details) {
    try {
      this.#client?.track(event, context, typeof details?.value === 'number' ? details.value : 1);
    } catch {
      // Nobody waits for it, and measurements are no records.
    }
  }
}

const notReady = (value) => ({
  value,
  reason: 'ERROR',
  errorCode: ErrorCode.PROVIDER_NOT_READY,
  errorMessage: 'the provider is not initialized',
});
