// The provider with the real SDK: OpenFeature's evaluation cases as a table, and everything around them.

import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ErrorCode, OpenFeature, ProviderEvents, ProviderStatus } from '@openfeature/server-sdk';
import { open } from '../index.mjs';
import { FlagverProvider } from '../openfeature.mjs';
import { definitions, directory, until } from './support.mjs';

// ---- the published evaluation behaviours (evaluation_v2) ----

const WINGS = { attr: 'email', op: 'ends_with', value: '@corp.example' };
const object = { showImages: true, title: 'Check out these pics!', imagesPerPage: 100 };
const targeted = (serve) => [{ id: 'corp', if: WINGS, serve }];

/** A flag whose zero value is served by default, and one that serves it to those who match. */
const zeros = (name, type, zero, other) => ({
  [`${name}-zero-flag`]: { type, variants: { zero, other }, default: 'zero' },
  [`${name}-targeted-zero-flag`]: { type, variants: { zero, other }, default: 'zero', rules: targeted('zero') },
});

const FLAGS = {
  'boolean-flag': { type: 'boolean' },
  'string-flag': { type: 'string', variants: { greeting: 'hi', parting: 'bye' }, default: 'greeting' },
  'integer-flag': { type: 'integer', variants: { one: 1, ten: 10 }, default: 'ten' },
  'float-flag': { type: 'double', variants: { tenth: 0.1, half: 0.5 }, default: 'half' },
  'object-flag': { type: 'json', variants: { empty: {}, template: object }, default: 'template' },
  ...zeros('string', 'string', '', 'x'),
  ...zeros('integer', 'integer', 0, 1),
  ...zeros('float', 'double', 0.0, 0.5),
  ...zeros('object', 'json', {}, object),
  'boolean-zero-flag': { type: 'boolean', default: 'off' },
  'boolean-targeted-zero-flag': { type: 'boolean', default: 'off', rules: targeted('off') },
  'complex-targeted': {
    type: 'string',
    variants: { internal: 'INTERNAL', external: 'EXTERNAL' },
    default: 'external',
    rules: [
      {
        id: 'staff',
        if: { all: [WINGS, { attr: 'customer', op: 'eq', value: false }, { attr: 'age', op: 'gt', value: 18 }] },
        serve: 'internal',
      },
    ],
  },
  'split-flag': { type: 'boolean', percentage: 50 },
  'disabled-flag': { type: 'string', variants: { a: 'x', b: 'y' }, default: 'b', off: 'a', enabled: false },
  'null-flag': { type: 'json', variants: { nothing: null, some: {} }, default: 'nothing' },
  'spoiled-flag': { type: 'boolean', requires: [{ flag: 'boolean-flag', variant: 'off' }] },
  'metadata-flag': { type: 'boolean', metadata: { string: '1.0.2', integer: 2, float: 0.1, boolean: true } },
};

const GETTERS = { boolean: 'getBooleanDetails', string: 'getStringDetails', number: 'getNumberDetails', object: 'getObjectDetails' };
const MATCH = { email: 'ada@corp.example' };
const NO_MATCH = { email: 'ada@home.example' };

// flag, getter, default, context, expected value, reason, variant or error code
const CASES = [
  // Resolves values of each type.
  ['boolean-flag', 'boolean', false, {}, true, 'STATIC', 'on'],
  ['string-flag', 'string', 'bye', {}, 'hi', 'STATIC', 'greeting'],
  ['integer-flag', 'number', 1, {}, 10, 'STATIC', 'ten'],
  ['float-flag', 'number', 0.1, {}, 0.5, 'STATIC', 'half'],
  ['object-flag', 'object', {}, {}, object, 'STATIC', 'template'],
  // Resolves zero values, which are not taken for missing ones.
  ['boolean-zero-flag', 'boolean', true, {}, false, 'STATIC', 'off'],
  ['string-zero-flag', 'string', 'hi', {}, '', 'STATIC', 'zero'],
  ['integer-zero-flag', 'number', 1, {}, 0, 'STATIC', 'zero'],
  ['float-zero-flag', 'number', 0.1, {}, 0, 'STATIC', 'zero'],
  ['object-zero-flag', 'object', { a: 1 }, {}, {}, 'STATIC', 'zero'],
  // Resolves zero values by targeting, whether it matches or not.
  ['boolean-targeted-zero-flag', 'boolean', true, MATCH, false, 'TARGETING_MATCH', 'off'],
  ['boolean-targeted-zero-flag', 'boolean', true, NO_MATCH, false, 'DEFAULT', 'off'],
  ['string-targeted-zero-flag', 'string', 'hi', MATCH, '', 'TARGETING_MATCH', 'zero'],
  ['string-targeted-zero-flag', 'string', 'hi', NO_MATCH, '', 'DEFAULT', 'zero'],
  ['integer-targeted-zero-flag', 'number', 1, MATCH, 0, 'TARGETING_MATCH', 'zero'],
  ['integer-targeted-zero-flag', 'number', 1, NO_MATCH, 0, 'DEFAULT', 'zero'],
  ['float-targeted-zero-flag', 'number', 1, MATCH, 0, 'TARGETING_MATCH', 'zero'],
  ['float-targeted-zero-flag', 'number', 1, NO_MATCH, 0, 'DEFAULT', 'zero'],
  ['object-targeted-zero-flag', 'object', { a: 1 }, MATCH, {}, 'TARGETING_MATCH', 'zero'],
  ['object-targeted-zero-flag', 'object', { a: 1 }, NO_MATCH, {}, 'DEFAULT', 'zero'],
  // Context-aware evaluation over several attributes.
  ['complex-targeted', 'string', 'x', { ...MATCH, customer: false, age: 30 }, 'INTERNAL', 'TARGETING_MATCH', 'internal'],
  ['complex-targeted', 'string', 'x', { ...MATCH, customer: true, age: 30 }, 'EXTERNAL', 'DEFAULT', 'external'],
  ['complex-targeted', 'string', 'x', {}, 'EXTERNAL', 'DEFAULT', 'external'],
  // Errors: the caller's default, and why.
  ['missing-flag', 'boolean', true, {}, true, 'ERROR', ErrorCode.FLAG_NOT_FOUND],
  ['missing-flag', 'string', 'uh-oh', {}, 'uh-oh', 'ERROR', ErrorCode.FLAG_NOT_FOUND],
  ['missing-flag', 'number', 3.5, {}, 3.5, 'ERROR', ErrorCode.FLAG_NOT_FOUND],
  ['missing-flag', 'object', { a: [] }, {}, { a: [] }, 'ERROR', ErrorCode.FLAG_NOT_FOUND],
  ['missing-flag', 'object', null, {}, null, 'ERROR', ErrorCode.FLAG_NOT_FOUND],
  ['', 'boolean', true, {}, true, 'ERROR', ErrorCode.FLAG_NOT_FOUND],
  ['string-flag', 'boolean', true, {}, true, 'ERROR', ErrorCode.TYPE_MISMATCH],
  ['string-flag', 'number', 13, {}, 13, 'ERROR', ErrorCode.TYPE_MISMATCH],
  ['string-flag', 'object', {}, {}, {}, 'ERROR', ErrorCode.TYPE_MISMATCH],
  ['boolean-flag', 'string', 'x', {}, 'x', 'ERROR', ErrorCode.TYPE_MISMATCH],
  ['object-flag', 'string', 'x', {}, 'x', 'ERROR', ErrorCode.TYPE_MISMATCH],
  ['integer-flag', 'string', 'x', {}, 'x', 'ERROR', ErrorCode.TYPE_MISMATCH],
  ['split-flag', 'boolean', true, {}, true, 'ERROR', ErrorCode.TARGETING_KEY_MISSING],
  ['split-flag', 'boolean', true, { targetingKey: true }, true, 'ERROR', ErrorCode.INVALID_CONTEXT],
  ['complex-targeted', 'string', 'x', { ...MATCH, customer: () => 1 }, 'x', 'ERROR', ErrorCode.INVALID_CONTEXT],
  // Null: as a value of a JSON flag, and as an attribute, which is missing then.
  ['null-flag', 'object', { a: 1 }, {}, null, 'STATIC', 'nothing'],
  ['complex-targeted', 'string', 'x', { email: null, customer: null, age: null }, 'EXTERNAL', 'DEFAULT', 'external'],
  ['split-flag', 'boolean', true, { targetingKey: null }, true, 'ERROR', ErrorCode.TARGETING_KEY_MISSING],
  // A requirement that is not met gives the off variant.
  ['spoiled-flag', 'boolean', true, {}, false, 'DEFAULT', 'off'],
];

/**
 * What cannot be as there: definitions of ours always have a default variant, and those of a disabled flag say what
 * it serves. So the cases of a flag whose default variant is null or undefined (the code's default, reason
 * DEFAULT) have no definition that they could be asked of; and a disabled flag gives its off variant with reason
 * DISABLED, where theirs give the code's default.
 */
const DIFFERENT = [['disabled-flag', 'string', 'code', {}, 'x', 'DISABLED', 'a']];

async function clientOf(t, provider, domain = `test-${Math.random()}`) {
  await OpenFeature.setProviderAndWait(domain, provider);
  t.after(() => OpenFeature.close());
  return OpenFeature.getClient(domain);
}

test('the published evaluation cases pass through the provider', async (t) => {
  const client = await clientOf(t, new FlagverProvider(await definitions(t, FLAGS)));
  for (const [flag, type, fallback, context, value, reason, variantOrCode] of [...CASES, ...DIFFERENT]) {
    const label = `${flag} ${type} ${Object.keys(context)}`;
    for (let round = 0; round < 3; round++) {
      const details = await client[GETTERS[type]](flag, fallback, context);
      assert.deepEqual(details.value, value, label);
      assert.equal(details.reason, reason, label);
      assert.equal(details.flagKey, flag, label);
      if (reason === 'ERROR') {
        assert.equal(details.errorCode, variantOrCode, label);
        assert.ok(details.errorMessage, label);
        assert.equal(details.variant, undefined, label);
      } else {
        assert.equal(details.variant, variantOrCode, label);
        assert.equal(details.errorCode, undefined, label);
      }
    }
  }
});

test('metadata of flags come along', async (t) => {
  const client = await clientOf(t, new FlagverProvider(await definitions(t, FLAGS)));
  const { flagMetadata } = await client.getBooleanDetails('metadata-flag', false);
  assert.deepEqual(flagMetadata, { string: '1.0.2', integer: 2, float: 0.1, boolean: true });
  assert.deepEqual((await client.getBooleanDetails('boolean-flag', false)).flagMetadata, {});
  const split = await client.getBooleanDetails('split-flag', false, { targetingKey: 'u' });
  assert.equal(typeof split.flagMetadata.bucket, 'number');
  assert.equal(split.reason, 'SPLIT');
  assert.equal((await client.getStringDetails('complex-targeted', 'x', { ...MATCH, customer: false, age: 30 })).flagMetadata.ruleId, 'staff');
  assert.deepEqual((await client.getBooleanDetails('missing-flag', false)).flagMetadata, {});
});

test('contexts of all levels are merged, dates among them', async (t) => {
  const flags = {
    f: {
      type: 'boolean',
      rules: [{ if: { all: [{ attr: 'since', op: 'before', value: '2026-01-01T00:00:00Z' }, { attr: 'plan', op: 'eq', value: 'pro' }] }, serve: 'on' }],
    },
  };
  const client = await clientOf(t, new FlagverProvider(await definitions(t, flags)));
  OpenFeature.setContext({ since: new Date('2027-01-01') });
  t.after(() => OpenFeature.setContext({}));
  client.setContext({ plan: 'pro' });
  assert.equal(await client.getBooleanValue('f', false), false);
  assert.equal(await client.getBooleanValue('f', false, { since: new Date('2025-01-01') }), true);
});

test('hooks run around an evaluation', async (t) => {
  const provider = new FlagverProvider(await definitions(t, FLAGS));
  const client = await clientOf(t, provider);
  const seen = [];
  client.addHooks({
    before: ({ flagKey }) => {
      seen.push(`before ${flagKey}`);
      return MATCH;
    },
    after: (_, { value }) => void seen.push(`after ${value}`),
    error: (_, error) => void seen.push(`error ${error.code}`),
    finally: ({ providerMetadata }) => void seen.push(`finally ${providerMetadata.name}`),
  });
  const { value } = await client.getStringDetails('complex-targeted', 'x', { customer: false, age: 30 });
  assert.equal(value, 'INTERNAL');
  await client.getBooleanValue('missing-flag', false);
  assert.deepEqual(seen, [
    'before complex-targeted',
    'after INTERNAL',
    'finally flagver',
    'before missing-flag',
    'error FLAG_NOT_FOUND',
    'finally flagver',
  ]);
});

test('domains have providers of their own', async (t) => {
  const one = await clientOf(t, new FlagverProvider(await definitions(t, { f: { type: 'boolean' } })), 'one');
  const two = await clientOf(t, new FlagverProvider(await definitions(t, { f: { type: 'boolean', default: 'off' } })), 'two');
  assert.equal(await one.getBooleanValue('f', false), true);
  assert.equal(await two.getBooleanValue('f', true), false);
});

test('a provider of a URI opens and closes its own client', async (t) => {
  const file = path.join(directory(t), 'test.db');
  const other = await open(`sqlite:${file}`);
  t.after(() => other.close());
  await other.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean' }));

  const provider = new FlagverProvider(`sqlite:${file}`, { pollMs: 20 });
  assert.equal(provider.client, null);
  assert.equal((await provider.resolveBooleanEvaluation('f', true, {})).errorCode, 'PROVIDER_NOT_READY');
  const client = await clientOf(t, provider, 'own');
  assert.equal(client.providerStatus, ProviderStatus.READY);
  assert.equal(await client.getBooleanValue('f', false), true);
  assert.equal((await client.getBooleanDetails('f', false)).flagMetadata.version, 1);

  const changes = [];
  client.addHandler(ProviderEvents.ConfigurationChanged, (event) => changes.push(event));
  await other.transaction('alice', (txn) => txn.flags.disable('f'));
  await until(() => changes.length > 0, 'a change');
  assert.deepEqual(changes[0].flagsChanged, ['f']);
  assert.equal(await client.getBooleanValue('f', true), false);

  const mine = provider.client;
  await Promise.all([provider.onClose(), provider.onClose()]);
  await provider.onClose();
  assert.equal(mine.closed, true);
  assert.equal(provider.client, null);
  assert.equal((await provider.resolveBooleanEvaluation('f', true, {})).value, true);
  await provider.initialize();
  assert.equal((await provider.resolveBooleanEvaluation('f', true, {})).value, false);
  await provider.onClose();
});

test("a client that is handed over stays its owner's", async (t) => {
  const mine = await definitions(t, { f: { type: 'boolean' } });
  const provider = new FlagverProvider(mine);
  const client = await clientOf(t, provider, 'handed');
  const changes = [];
  client.addHandler(ProviderEvents.ConfigurationChanged, ({ flagsChanged }) => changes.push(...flagsChanged));
  mine.load({ flags: { f: { type: 'boolean' }, g: { type: 'boolean' } } });
  await until(() => changes.length > 0, 'a change');
  assert.deepEqual(changes, ['g']);
  await provider.onClose();
  assert.equal(mine.closed, false);
  assert.equal(mine.bool('f'), true);
});

test('READY is told, also to who comes late', async (t) => {
  const provider = new FlagverProvider(await definitions(t, {}));
  const ready = [];
  const early = OpenFeature.getClient('ready');
  early.addHandler(ProviderEvents.Ready, () => ready.push('early'));
  await OpenFeature.setProviderAndWait('ready', provider);
  t.after(() => OpenFeature.close());
  OpenFeature.getClient('ready').addHandler(ProviderEvents.Ready, () => ready.push('late'));
  await until(() => ready.includes('early') && ready.includes('late'), 'READY');
});

test('a store that is away makes it STALE, and READY when it is back', async (t) => {
  const dir = directory(t);
  const [file, away] = [path.join(dir, 'test.db'), path.join(dir, 'away.db')];
  const options = { cacheFile: path.join(dir, 'cache'), pollMs: 20 };
  const first = await open(`sqlite:${file}`);
  await first.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean' }));
  await first.close();
  await (await open(`sqlite:${file}`, options)).close(); // the cache is written
  renameSync(file, away);

  const provider = new FlagverProvider(`sqlite:${file}`, options);
  const client = await clientOf(t, provider, 'stale');
  const told = [];
  client.addHandler(ProviderEvents.Stale, ({ message }) => told.push(`stale: ${message}`));
  await until(() => told.length > 0, 'STALE');
  assert.match(told[0], /^stale: ./);
  assert.equal(client.providerStatus, ProviderStatus.STALE);
  assert.equal(await client.getBooleanValue('f', false), true);

  client.addHandler(ProviderEvents.Ready, () => told.push('ready'));
  renameSync(away, file);
  await until(() => told.includes('ready'), 'READY');
  assert.equal(client.providerStatus, ProviderStatus.READY);
});

test('a client that is closed under it is an ERROR', async (t) => {
  const mine = await open('definitions:');
  const client = await clientOf(t, new FlagverProvider(mine), 'error');
  const errors = [];
  client.addHandler(ProviderEvents.Error, (event) => errors.push(event));
  await mine.close();
  assert.equal(await client.getBooleanValue('f', true), true);
  await until(() => errors.length > 0, 'ERROR');
  assert.equal((await client.getBooleanDetails('f', true)).value, true);
});

test('what cannot be opened is FATAL, or an ERROR that passes', async (t) => {
  await assert.rejects(OpenFeature.setProviderAndWait('fatal', new FlagverProvider('nosuch:x')), /nosuch/);
  t.after(() => OpenFeature.close());
  assert.equal(OpenFeature.getClient('fatal').providerStatus, ProviderStatus.FATAL);
  const provider = new FlagverProvider('sqlite:/nowhere/at/all/test.db');
  await assert.rejects(OpenFeature.setProviderAndWait('later', provider));
  assert.ok([ProviderStatus.ERROR, ProviderStatus.FATAL].includes(OpenFeature.getClient('later').providerStatus));
  assert.equal((await OpenFeature.getClient('later').getBooleanDetails('f', true)).value, true);
  assert.throws(() => new FlagverProvider(7), TypeError);
});

test('events are tracked, by the variant that is served', async (t) => {
  const mine = await definitions(t, { f: { type: 'boolean', metadata: { events: 'bought' } } });
  const client = await clientOf(t, new FlagverProvider(mine), 'tracking');
  client.track('bought', { targetingKey: 'u' }, { value: 9.5, currency: 'EUR' });
  client.track('bought', {}, { currency: 'EUR' });
  client.track('', { f() {} });
  const groups = await mine.tracking.report({ own: true });
  const event = groups.find((group) => group.event === 'bought' && group.flag === 'f');
  assert.equal(event.variant, 'on');
  assert.equal(event.count, 2);
  assert.equal(event.sum, 10.5);
});
