import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { BrokenError, Client, Context, Double, Flag, MistakeError, RetryError, Snapshot, lint, open } from '../index.mjs';
import { code, definitions, directory } from './support.mjs';

const FLAGS = {
  on: { type: 'boolean' },
  off: { type: 'boolean', default: 'off' },
  share: { type: 'boolean', percentage: 25, metadata: { owner: 'reports', level: 3 } },
  text: { type: 'string', variants: { a: 'x', b: 'yé' }, default: 'b' },
  count: { type: 'integer', variants: { a: 42, b: 0 }, default: 'a' },
  ratio: { type: 'double', variants: { a: 1.5, b: 2.0 }, default: 'a' },
  whole: { type: 'double', variants: { a: 2.0 }, default: 'a' },
  tree: { type: 'json', variants: { a: { list: [1, null] }, n: null }, default: 'a' },
  land: { type: 'boolean', rules: [{ id: 'eu', if: { attr: 'country', op: 'in', values: ['DE', 'FR'] }, serve: 'on' }] },
  dead: { type: 'boolean', enabled: false },
};

test('every getter gives the value of its type, and the default for another', async (t) => {
  const client = await definitions(t, FLAGS);
  const bound = (key) => client.bind(key);
  for (let round = 0; round < 3; round++) {
    for (const of of [(key, getter, ...args) => client[getter](key, ...args), (key, getter, ...args) => bound(key)[getter](...args)]) {
      assert.equal(of('on', 'bool', {}, false), true);
      assert.equal(of('off', 'bool', null, true), false);
      assert.equal(of('text', 'string', undefined, 'd'), 'yé');
      assert.equal(of('count', 'int', {}, 7), 42);
      assert.equal(of('count', 'double', {}, 7), 42);
      assert.equal(of('ratio', 'double', {}, 7), 1.5);
      assert.equal(of('ratio', 'int', {}, 7), 7);
      assert.equal(of('whole', 'int', {}, 7), 2);
      assert.deepEqual(of('tree', 'json', {}, null), { list: [1, null] });
      assert.equal(of('on', 'string', {}, 'd'), 'd');
      assert.equal(of('text', 'bool', {}, true), true);
      assert.equal(of('on', 'json', {}, 'd'), 'd');
      assert.equal(of('gone', 'bool', {}, true), true);
    }
  }
});

test('details say how it went', async (t) => {
  const client = await definitions(t, FLAGS);
  const user = { targetingKey: 'user7' };
  for (let round = 0; round < 3; round++) {
    const detail = client.boolDetail('share', user, true);
    assert.deepEqual(detail, {
      flag: 'share',
      type: 'boolean',
      value: detail.bucket < 25000,
      variant: detail.bucket < 25000 ? 'on' : 'off',
      reason: 'SPLIT',
      errorCode: null,
      rule: null,
      bucket: detail.bucket,
      version: 0,
      metadata: { owner: 'reports', level: 3 },
    });
    assert.equal(client.boolDetail('share', {}, true).errorCode, 'TARGETING_KEY_MISSING');
    assert.equal(client.boolDetail('share', {}, true).value, true);
    assert.equal(client.boolDetail('land', { country: 'FR' }).rule, 'eu');
    assert.equal(client.boolDetail('land', { country: 'US' }).reason, 'DEFAULT');
    assert.equal(client.boolDetail('dead').reason, 'DISABLED');
    assert.equal(client.stringDetail('on', {}, 'd').errorCode, 'TYPE_MISMATCH');
    assert.equal(client.evaluate('gone').errorCode, 'FLAG_NOT_FOUND');
    assert.equal(client.evaluate('gone').value, undefined);
    assert.equal(client.evaluate('tree').type, 'json');
  }
});

test('what a caller does with its detail is not seen by the next one', async (t) => {
  const client = await definitions(t, FLAGS);
  for (let round = 0; round < 3; round++) {
    const detail = client.jsonDetail('tree');
    assert.deepEqual(detail.value, { list: [1, null] });
    detail.value.list.push(3);
    detail.variant = 'spoiled';
    assert.equal(client.jsonDetail('tree').variant, 'a');
    client.json('tree').list.push(4);
  }
});

test('contexts are made of plain objects', async (t) => {
  const flags = {};
  const rule = (key, leaf) => (flags[key] = { type: 'boolean', rules: [{ if: leaf, serve: 'on' }] });
  rule('date', { attr: 'at', op: 'before', value: '2026-01-01T00:00:00Z' });
  rule('list', { attr: 'tags', op: 'eq', value: 'b' });
  rule('nested', { attr: 'account.plan', op: 'eq', value: 'pro' });
  rule('number', { attr: 'n', op: 'gt', value: 3 });
  rule('truth', { attr: 'is', op: 'eq', value: true });
  rule('there', { attr: 'x', op: 'exists', value: true });
  rule('big', { attr: 'id', op: 'eq', value: Number.MAX_SAFE_INTEGER });
  const client = await definitions(t, flags);
  const cases = [
    ['date', { at: new Date('2025-06-01') }, true],
    ['date', { at: new Date('2026-06-01') }, false],
    ['date', { at: new Date(NaN) }, false],
    ['list', { tags: ['a', 'b'] }, true],
    ['list', { tags: [] }, false],
    ['nested', { account: { plan: 'pro', more: [{ deep: true }] } }, true],
    ['nested', { account: null }, false],
    ['number', { n: 3.5 }, true],
    ['number', { n: new Double(4) }, true],
    ['number', { n: NaN }, false],
    ['truth', { is: true }, true],
    ['there', { x: undefined }, false],
    ['there', { x: null }, false],
    ['there', { x: 'nul\0inside' }, true],
    ['big', { id: BigInt(Number.MAX_SAFE_INTEGER) }, true],
  ];
  for (const [key, attributes, expected] of cases) {
    for (let round = 0; round < 3; round++) {
      assert.equal(client.bool(key, attributes), expected, `${key} ${String(Object.values(attributes))}`);
      assert.equal(client.bool(key, new Context(attributes)), expected, key);
    }
  }
});

test('a context that changes inside is looked at again', async (t) => {
  const client = await definitions(t, { f: { type: 'boolean', rules: [{ if: { attr: 'tags', op: 'eq', value: 'b' }, serve: 'on' }] } });
  const user = { targetingKey: 'u', tags: ['a'] };
  assert.equal(client.bool('f', user), false);
  user.tags[0] = 'b';
  assert.equal(client.bool('f', user), true);
  user.tags = 'c';
  assert.equal(client.bool('f', user), false);
  for (let i = 0; i < 300; i++) assert.equal(client.bool('f', { targetingKey: `u${i}`, tags: i % 2 ? 'b' : 'x' }), i % 2 === 1);
});

test('an integer is a targeting key; what is no key is INVALID_CONTEXT', async (t) => {
  const client = await definitions(t, FLAGS);
  assert.equal(client.boolDetail('share', { targetingKey: 7 }).bucket, client.boolDetail('share', { targetingKey: '7' }).bucket);
  assert.equal(client.boolDetail('share', { targetingKey: 7n }).bucket, client.boolDetail('share', { targetingKey: '7' }).bucket);
  for (const targetingKey of [true, 1.5, {}, [], 1n << 64n, Symbol.iterator, new Double(7)])
    for (let round = 0; round < 3; round++) {
      assert.equal(client.boolDetail('share', { targetingKey }).errorCode, 'INVALID_CONTEXT');
      assert.equal(client.boolDetail('on', { targetingKey }).errorCode, 'INVALID_CONTEXT');
      assert.equal(client.boolDetail('on', new Context({ targetingKey })).errorCode, 'INVALID_CONTEXT');
      assert.equal(client.bool('on', { targetingKey }), false);
    }
});

test('what cannot be an attribute is refused, and the next call is none the worse', async (t) => {
  const client = await definitions(t, FLAGS);
  const deep = {};
  deep.self = deep;
  const refused = [
    [{ f() {} }, TypeError],
    [{ s: Symbol('s') }, TypeError],
    [{ big: 1n << 64n }, RangeError],
    [{ bytes: new Uint8Array(3) }, TypeError],
    [{ '': 1 }, MistakeError],
    [{ ['x'.repeat(256)]: 1 }, MistakeError],
    [{ 'a\0b': 1 }, TypeError],
    [{ list: [1, [2, () => 3]] }, TypeError],
    [{ deep }, RangeError],
    [{ get bad() { throw new EvalError('mine'); } }, EvalError],
    ['user', TypeError],
    [7, TypeError],
    [['a'], TypeError],
  ];
  for (const [attributes, Class] of refused) {
    assert.throws(() => client.bool('land', attributes), Class);
    assert.throws(() => new Context(attributes), Class);
    assert.equal(client.bool('land', { country: 'DE' }), true);
  }
});

test('an object whose getters ask flags does not disturb its own call', async (t) => {
  const client = await definitions(t, FLAGS);
  const user = {
    targetingKey: 'u',
    get country() {
      return client.bool('land', { targetingKey: 'u', country: 'US' }) ? 'US' : 'DE';
    },
  };
  for (let i = 0; i < 5; i++) assert.equal(client.bool('land', user), true);
});

test('users whose key is a getter of their class are told apart, however many they are', async (t) => {
  class User {
    #id;
    country = 'DE';
    constructor(id) {
      this.#id = id;
    }
    get targetingKey() {
      return this.#id;
    }
  }
  const client = await definitions(t, { f: { type: 'boolean', beta: ['u70'] } });
  const served = Array.from({ length: 200 }, (_, i) => i).filter((i) => client.bool('f', new User(`u${i}`)));
  assert.deepEqual(served, [70]);
});

test('a context can be used again for somebody else', async (t) => {
  const client = await definitions(t, FLAGS);
  const context = new Context({ country: 'DE' });
  assert.equal(client.bool('land', context), true);
  assert.equal(context.set({ targetingKey: 'u' }), context);
  assert.equal(client.bool('land', context), false);
  assert.throws(() => context.set({ country: () => 1 }), TypeError);
  assert.equal(client.bool('land', context), false);
  assert.equal(client.bool('land', context.set({ country: 'FR' })), true);
});

test('all flags come in order, of one state', async (t) => {
  const client = await definitions(t, FLAGS);
  const all = client.all({ targetingKey: 'u', country: 'DE' });
  assert.deepEqual(all.map(({ flag }) => flag), Object.keys(FLAGS).sort());
  assert.equal(all.find(({ flag }) => flag === 'land').value, true);
  assert.equal(all.find(({ flag }) => flag === 'text').value, 'yé');
});

test('what was served is counted, however it was answered', async (t) => {
  const client = await definitions(t, { on: FLAGS.on, share: FLAGS.share });
  const flag = client.bind('on');
  for (let i = 0; i < 70000; i++) flag.bool({ targetingKey: 'u' });
  for (let i = 0; i < 10; i++) client.boolDetail('on');
  for (let i = 0; i < 5; i++) client.string('on', {}, 'd');
  for (let i = 0; i < 100; i++) client.bool('share', { targetingKey: `u${i}` });
  const count = (key, variant) => client.counts().find((c) => c.flag === key && c.variant === variant)?.count;
  assert.equal(count('on', 'on'), 70010);
  assert.equal(count('on', null), 5);
  assert.equal(count('share', 'on') + count('share', 'off'), 100);
});

test('counts go to the variant that was served before a change', async (t) => {
  const client = await definitions(t, { f: { type: 'boolean' } });
  for (let i = 0; i < 10; i++) assert.equal(client.bool('f'), true);
  client.override('f', 'off');
  for (let i = 0; i < 20; i++) assert.equal(client.bool('f', {}, true), false);
  client.override('f', null);
  for (let i = 0; i < 5; i++) assert.equal(client.bool('f'), true);
  assert.deepEqual(client.counts(), [
    { flag: 'f', variant: 'off', count: 20 },
    { flag: 'f', variant: 'on', count: 15 },
  ]);
});

test('a change is seen by the very next call', async (t) => {
  const client = await definitions(t, { f: { type: 'string', variants: { a: 'A', b: 'B' }, default: 'a' } });
  const flag = client.bind('f');
  for (let i = 0; i < 200; i++) {
    const [value, variant] = i % 2 ? ['A', 'a'] : ['B', 'b'];
    client.load({ flags: { f: { type: 'string', variants: { a: 'A', b: 'B' }, default: variant, metadata: { i } } } });
    for (let round = 0; round < 3; round++) {
      assert.equal(flag.string(), value);
      assert.deepEqual(flag.stringDetail().metadata, { i });
    }
  }
  client.load({ flags: {} });
  assert.equal(flag.string({}, 'none'), 'none');
});

test('an override of a variant that is not there is refused', async (t) => {
  const client = await definitions(t, FLAGS);
  assert.throws(() => client.override('on', 'maybe'), code('ENOTFOUND'));
  assert.throws(() => client.override(7, 'on'), TypeError);
});

test('keys of any kind are answered', async (t) => {
  const client = await definitions(t, FLAGS);
  for (const key of ['', 'on\0', 'x'.repeat(300), 'ö'.repeat(200), '\ud800'])
    assert.equal(client.boolDetail(key, {}, true).errorCode, 'FLAG_NOT_FOUND', JSON.stringify(key));
  for (const key of [undefined, null, 7, {}, ['on']]) assert.throws(() => client.bool(key), TypeError);
  assert.throws(() => client.bind(''), RangeError);
});

test('a default of the wrong type is a mistake', async (t) => {
  const client = await definitions(t, FLAGS);
  assert.throws(() => client.bool('on', {}, 'yes'), TypeError);
  assert.throws(() => client.int('count', {}, 1.5), TypeError);
  assert.throws(() => client.double('ratio', {}, '1'), TypeError);
  assert.throws(() => client.string('text', {}, 7), TypeError);
  assert.equal(client.string('gone', {}, null), null);
  for (const key of ['on', 'gone', 'x'.repeat(300)]) {
    assert.throws(() => client.boolDetail(key, {}, 'yes'), TypeError, key);
    assert.throws(() => client.intDetail(key, {}, 1.5), TypeError, key);
    assert.throws(() => client.doubleDetail(key, {}, 1n), TypeError, key);
    assert.throws(() => client.stringDetail(key, {}, true), TypeError, key);
    assert.throws(() => client.bool(key, {}, null), TypeError, key);
  }
  assert.throws(() => client.evaluate('on', {}, 'bool'), TypeError);
});

test('integers beyond 2^53 are bigints', async (t) => {
  const client = await definitions(t, {});
  client.load('{"flags":{"f":{"type":"integer","variants":{"a":9007199254740993},"default":"a"}}}');
  for (let i = 0; i < 3; i++) assert.equal(client.int('f'), 9007199254740993n);
  client.load('{"flags":{"f":{"type":"integer","variants":{"a":9007199254740992},"default":"a","split":{"a":1}}}}');
  for (let i = 0; i < 3; i++) {
    assert.equal(client.int('f', { targetingKey: 'u' }), 9007199254740992n);
    assert.equal(client.int('gone', {}, 5n), 5n);
  }
});

test('a snapshot stays as it was', async (t) => {
  const client = await definitions(t, FLAGS);
  const snapshot = client.snapshot();
  client.load({ flags: {} });
  assert.equal(snapshot.size, Object.keys(FLAGS).length);
  assert.equal(snapshot.evaluate('land', { country: 'DE' }).value, true);
  assert.equal(snapshot.explain('land', { country: 'DE' }).flag, 'land');
  snapshot.close();
  snapshot.close();
  assert.throws(() => snapshot.evaluate('land'), BrokenError);
});

test('explain tells each step', async (t) => {
  const client = await definitions(t, FLAGS);
  const { value, steps } = client.explain('land', { country: 'DE' });
  assert.equal(value, true);
  assert.ok(steps.length > 0);
});

test('malformed definitions are refused as a whole, with their place', async (t) => {
  const client = await definitions(t, FLAGS);
  assert.throws(() => client.load('{"flags":{"f":{}}}'), (error) => error instanceof MistakeError && error.code === 'EPARSE' && error.line === 1);
  assert.equal(client.bool('on'), true);
  assert.throws(() => client.load(undefined), TypeError);
  client.merge({ flags: { on: null } });
  assert.equal(client.evaluate('on').errorCode, 'FLAG_NOT_FOUND');
  assert.deepEqual(lint({ flags: { f: { type: 'boolean' } } }), []);
});

test('a closed client answers nobody', async () => {
  const client = await open('definitions:');
  client.load({ flags: FLAGS });
  const flag = client.bind('on');
  for (let i = 0; i < 3; i++) flag.bool();
  const stop = client.listen(() => {});
  await Promise.all([client.close(), client.close()]);
  await client.close();
  stop();
  assert.equal(client.closed, true);
  for (const use of [
    () => flag.bool(),
    () => flag.boolDetail({}),
    () => client.bool('on'),
    () => client.all(),
    () => client.counts(),
    () => client.health(),
    () => client.load({}),
    () => client.snapshot(),
    () => client.generation,
    () => client.override('on', 'off'),
    () => client.explain('on'),
    () => client.listen(() => {}),
  ])
    assert.throws(use, BrokenError, String(use));
  await assert.rejects(client.refresh(), BrokenError);
  await assert.rejects(client.begin('a'), BrokenError);
  await assert.rejects(client.versions.current('a', 'b'), BrokenError);
});

test('nobody makes a handle but the library', () => {
  for (const Class of [Client, Flag, Snapshot]) assert.throws(() => new Class(1, {}), TypeError);
});

test('a file is read again when it has changed', async (t) => {
  const file = path.join(directory(t), 'flags.json');
  writeFileSync(file, JSON.stringify({ flags: { f: { type: 'boolean' } } }));
  const client = await open(`file:${file}`);
  t.after(() => client.close());
  assert.equal(client.bool('f'), true);
  writeFileSync(file, JSON.stringify({ flags: { f: { type: 'boolean', default: 'off' } } }));
  await client.refresh();
  assert.equal(client.bool('f', {}, true), false);
});

test('schedules go by the clock that is given', async (t) => {
  let now = Date.parse('2026-01-01');
  const flags = {
    f: { type: 'boolean', schedule: { steps: [{ at: '2026-02-01T00:00:00Z', percentage: 100 }] } },
  };
  const client = await definitions(t, flags, { clock: () => now });
  assert.equal(client.bool('f', { targetingKey: 'u' }), false);
  now = Date.parse('2026-03-01');
  assert.equal(client.bool('f', { targetingKey: 'u' }), true);
  await assert.rejects(open('memory:', { clock: () => 0 }), TypeError);
});

test('a clock that throws or asks flags itself breaks nothing', async (t) => {
  let client;
  let asked;
  const flags = { f: { type: 'boolean', schedule: { steps: [{ at: '2026-02-01T00:00:00Z', percentage: 100 }] } } };
  client = await definitions(t, flags, {
    clock() {
      try {
        client.bool('f', { targetingKey: 'u', other: 1 });
      } catch (error) {
        asked = error;
      }
      throw new Error('no time');
    },
  });
  assert.equal(typeof client.bool('f', { targetingKey: 'u' }), 'boolean');
  assert.ok(asked instanceof RetryError);
});

test('what cannot be opened is refused', async () => {
  await assert.rejects(open('nosuch:x'), code('ENOTSUP'));
  await assert.rejects(open('file:/nowhere/flags.json'), code('EIO'));
  await assert.rejects(open(7), TypeError);
  await assert.rejects(open('memory:', { backgruond: true }), /there is no option backgruond/);
  await assert.rejects(open('memory:', { waitMs: -1 }), RangeError);
  await assert.rejects(open('memory:', { tenant: 7 }), TypeError);
});

const program = process.env.FLAGVER_BUILD && path.join(process.env.FLAGVER_BUILD, 'flagver');
const noProgram = !(program && existsSync(program)) && 'FLAGVER_BUILD has no program';

test('the program and the package answer a batch alike', { skip: noProgram }, (t) => {
  const dir = directory(t);
  const file = path.join(dir, 'flags.json');
  writeFileSync(file, JSON.stringify({ flags: FLAGS }));
  const lines = [];
  for (let i = 0; i < 2000; i++) {
    const context = { targetingKey: `user${i}`, ...(i % 3 && { country: ['DE', 'US'][i % 2] }), n: i % 5 ? i : i + 0.5 };
    if (i % 7 === 0) delete context.targetingKey;
    if (i % 101 === 0) context.targetingKey = i % 2 ? i : true;
    const line = { flag: [...Object.keys(FLAGS), 'gone'][i % 11], context };
    if (i % 2) line.type = ['boolean', 'string', 'integer', 'double', 'json'][(i >> 1) % 5];
    if (i % 4) line.default = [true, 'x', 7, null][i % 4];
    lines.push(JSON.stringify(line));
  }
  const input = `${lines.join('\n')}\n`;
  const run = (command, args, options) => {
    const { stdout, status, stderr } = spawnSync(command, args, { input, encoding: 'utf8', maxBuffer: 1 << 26, ...options });
    assert.equal(status, 0, stderr);
    return stdout.split('\n');
  };
  const batch = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), 'batch.mjs');
  const ours = run(process.execPath, [batch, file]);
  const theirs = run(program, ['flag', 'eval', '--batch', '--definitions', file]);
  assert.equal(ours.length, 2001);
  assert.deepEqual(ours, theirs);
});

const sanitized = /asan/.test(process.env.LD_PRELOAD ?? '') && 'AddressSanitizer holds back what is freed';

test('memory stays flat', { skip: sanitized }, (t) => {
  const count = Number(process.env.FLAGVER_EVALUATIONS ?? 1_000_000);
  const memory = path.join(path.dirname(new URL(import.meta.url).pathname), 'memory.mjs');
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--expose-gc', '--max-semi-space-size=1', memory, String(count)], { encoding: 'utf8' });
  assert.equal(status, 0, stderr + stdout);
  t.diagnostic(stdout.trim());
});

test('a default beyond 64 bits comes back as it is', async (t) => {
  const client = await definitions(t, { f: { type: 'boolean', percentage: 50 } });
  for (let round = 0; round < 3; round++) assert.equal(client.int('f', {}, 2n ** 70n), 2n ** 70n);
});

test('a clock that tells no time is none', async (t) => {
  const flags = { f: { type: 'boolean', schedule: { steps: [{ at: '2001-01-01T00:00:00Z', percentage: 100 }] } } };
  for (const time of [NaN, Infinity, -1e300, undefined, 'soon', {}, Promise.resolve(1)]) {
    const client = await definitions(t, flags, { clock: () => time });
    assert.equal(client.bool('f', { targetingKey: 'u' }), true, String(time));
  }
});
