import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokenError, MistakeError, RetryError } from '../index.mjs';
import { code, definitions, gc, store, until } from './support.mjs';

/** A system in memory; what is listed in `fails` throws. */
class System {
  rows = new Map();
  operations = new Map(); // keys by the operation that has written them
  fails = new Set();
  calls = [];

  #enter(name, key, call) {
    this.calls.push({ name, key, call });
    if (this.fails.has(name)) throw new Error(`the system cannot ${name}`);
  }

  read(key, call) {
    this.#enter('read', key, call);
    return this.rows.get(key);
  }

  write(key, value, call) {
    this.#enter('write', key, call);
    const name = key ?? `made${this.rows.size}`;
    this.rows.set(name, value.toString());
    this.operations.set(call.operationId, name);
    return name;
  }

  remove(key, call) {
    this.#enter('remove', key, call);
    this.rows.delete(key);
  }

  count() {
    return this.rows.size;
  }

  findByOperation(id) {
    return this.operations.get(id) ?? null;
  }

  scan(after, limit, call) {
    this.#enter('scan', after, call);
    const keys = [...this.rows.keys()].filter((key) => key > after).sort();
    return { rows: keys.slice(0, limit).map((key) => [key, this.rows.get(key)]), end: keys.length <= limit };
  }
}

const MIGRATION = 'flagver.migration';

async function migration(t, options = {}) {
  const client = await store(t);
  await client.transaction('mia', (txn) => txn.versions.put(MIGRATION, 'customers', { stage: 'off' }));
  const [old, fresh] = [new System(), new System()];
  const route = await client.route('customers', { old, new: fresh, compare: (a, b) => a.equals(b), ...options });
  return { client, old, fresh, route };
}

async function go(route, stage, change) {
  await route.step();
  await route.stage('mia', stage, change);
  await route.step();
}

async function catchUp(route) {
  await until(async () => {
    const { waiting, copied } = await route.step();
    return waiting === 0 && copied === 0;
  }, 'nothing to do');
}

test('keys that UTF-8 cannot say are refused, not changed', async (t) => {
  const { client, old, route } = await migration(t);
  for (const key of ['k\ud800', '\udfff', 'k\0']) {
    await assert.rejects(route.write(key, 'Ada'), TypeError);
    await assert.rejects(route.read(key), TypeError);
    await assert.rejects(client.transaction('mia', (txn) => txn.flags.put(key, { type: 'boolean' })), TypeError);
  }
  assert.equal(old.rows.size, 0);
  await route.write('\ud83d\ude00', 'Ada');
  assert.deepEqual([...old.rows.keys()], ['\u{1f600}']);
  await route.close();
});

test('a write goes to both sides, a read to the believed one', async (t) => {
  const { route, old, fresh } = await migration(t);
  await go(route, 'dualwrite');
  const result = await route.write('c1', 'Berlin', { operationId: 'op-1' });
  assert.equal(result.stage, 'dualwrite');
  assert.equal(result.pending, false);
  assert.equal(old.rows.get('c1'), 'Berlin');
  assert.equal(fresh.rows.get('c1'), 'Berlin');
  assert.deepEqual([old, fresh].map((s) => s.calls.at(-1).call.operationId), ['op-1', 'op-1']);
  assert.deepEqual([old, fresh].map((s) => s.calls.at(-1).call.side), ['old', 'new']);

  const read = await route.read('c1', { payload: 'hint' });
  assert.ok(Buffer.isBuffer(read.value));
  assert.equal(read.value.toString(), 'Berlin');
  assert.equal(read.side, 'old');
  assert.equal(old.calls.at(-1).call.payload.toString(), 'hint');
  await route.remove('c1');
  assert.equal(fresh.rows.size, 0);
  await assert.rejects(route.read('c1'), code('ENOTFOUND'));
  const empty = await route.write('e', new Uint8Array(0));
  assert.equal(empty.sides.new.invoked, true);
  assert.equal((await route.read('e')).value.length, 0);
  const made = await route.write(null, 'x');
  assert.equal(made.key, 'made1');
});

test('a side that throws fails in its own words, and is repaired', async (t) => {
  const { route, old, fresh } = await migration(t);
  await go(route, 'dualwrite');
  fresh.fails.add('write');
  const result = await route.write('c1', 'Porto');
  assert.equal(result.pending, true);
  assert.equal(result.sides.new.code, 'EUNAVAILABLE');
  assert.equal(result.sides.new.message, 'the system cannot write');
  assert.equal(fresh.rows.size, 0);
  fresh.fails.clear();
  await until(async () => (await route.step()).waiting === 0, 'a repair');
  assert.equal(fresh.rows.get('c1'), 'Porto');

  old.fails.add('write');
  await assert.rejects(route.write('c2', 'Faro'), (error) => {
    assert.ok(error instanceof RetryError);
    assert.equal(error.message, 'the system cannot write');
    assert.equal(error.result.sides.old.code, 'EUNAVAILABLE');
    assert.equal(error.result.sides.new.invoked, false);
    return true;
  });
});

test('steps compare the sides when all is copied', async (t) => {
  const { route, client, old, fresh } = await migration(t);
  for (let i = 0; i < 20; i++) old.rows.set(`c${10 + i}`, 'Berlin');
  await go(route, 'dualwrite');
  await catchUp(route);
  fresh.rows.set('c12', 'Atlantis');
  const found = [];
  const comparing = await client.route('customers', { old, new: fresh, verify: 'repair', difference: (d) => void found.push(d) });
  const progress = await comparing.step(10000);
  assert.deepEqual([progress.comparedSoFar, progress.differences, progress.leftOut, progress.verified], [20, 1, 0, false]);
  assert.deepEqual(
    found.map(({ kind, key, old: a, new: b }) => [kind, key, String(a), String(b)]),
    [['value', 'c12', 'Berlin', 'Atlantis']],
  );
  assert.equal(fresh.rows.get('c12'), 'Berlin');
  assert.equal((await comparing.status()).comparing.differences, 1);
  await assert.rejects(client.route('customers', { old, new: fresh, verify: 'odd' }), TypeError);
});

test('a whole migration, and back', async (t) => {
  const events = [];
  const { route, client, old, fresh } = await migration(t, { event: (event) => events.push(event) });
  for (let i = 0; i < 20; i++) old.rows.set(`c${10 + i}`, 'Berlin');
  await go(route, 'dualwrite');
  await go(route, 'backfill');
  await catchUp(route);
  assert.equal(fresh.rows.size, 20);
  await go(route, 'shadow');
  fresh.rows.set('c12', 'Atlantis');
  const { compared, differences, list } = await route.verify({ repair: true });
  assert.equal(compared, 20);
  assert.equal(differences, 1);
  assert.deepEqual(
    list.map(({ kind, key, old: a, new: b }) => [kind, key, String(a), String(b)]),
    [['value', 'c12', 'Berlin', 'Atlantis']],
  );
  assert.equal(fresh.rows.get('c12'), 'Berlin');
  assert.equal((await route.verify()).differences, 0);
  const { consistent } = await route.read('c12');
  assert.equal(consistent, true);
  await assert.rejects(route.stage('mia', 'ramp', { percentage: 50 }), code('ESTATE'));
  await go(route, 'ramp', { percentage: 50, forced: 'a test' });
  const sides = new Set();
  for (const key of old.rows.keys()) sides.add((await route.read(key)).side);
  assert.deepEqual([...sides].sort(), ['new', 'old']);
  assert.equal((await route.status()).stage, 'ramp');
  await route.rollback('mia', 'slow');
  assert.equal((await client.migrations.status('customers')).stage, 'off');
  const read = events.find(({ operation }) => operation === 'read');
  assert.equal(read.route, 'customers');
  assert.equal(read.key, 'c12');
  assert.equal(read.consistent, true);
  assert.equal(read.migrationOp.operation, 'read');
});

test('a background takes steps', async (t) => {
  const { route, fresh } = await migration(t, { background: true });
  await go(route, 'dualwrite');
  fresh.fails.add('write');
  await route.write('c1', 'Porto');
  fresh.fails.clear();
  await until(() => fresh.rows.get('c1') === 'Porto', 'a repair');
});

test('many operations at once, in one process with transactions', async (t) => {
  const { route, client, old, fresh } = await migration(t);
  await go(route, 'dualwrite');
  await Promise.all(
    Array.from({ length: 30 }, (_, i) =>
      Promise.all([
        route.write(`k${i}`, `v${i}`),
        client.transaction('alice', (txn) => txn.flags.put(`f${i}`, { type: 'boolean' })),
        route.read(`k${i}`).catch(() => {}),
      ]),
    ),
  );
  assert.equal(old.rows.size, 30);
  assert.deepEqual([...old.rows.entries()].sort(), [...fresh.rows.entries()].sort());
});

test('a flag may say the stage, for each context its own', async (t) => {
  const client = await definitions(t, {
    move: {
      type: 'string',
      variants: { off: 'off', live: 'live' },
      default: 'off',
      rules: [{ if: { attr: 'beta', op: 'eq', value: true }, serve: 'live' }],
    },
  });
  const [old, fresh] = [new System(), new System()];
  old.rows.set('k', 'old');
  fresh.rows.set('k', 'new');
  const route = await client.route(null, { flag: 'move', old, new: fresh });
  assert.equal((await route.read('k')).value.toString(), 'old');
  assert.equal((await route.read('k', { context: { beta: true } })).value.toString(), 'new');
  await assert.rejects(route.step(), code('ENOTSUP'));
  await route.close();
});

test('whatever a side throws, its write has failed', async (t) => {
  const thrown = [
    undefined,
    Symbol('s'),
    Object.create(null),
    new Proxy({}, { get: () => assert.fail('of a proxy'), getPrototypeOf: () => assert.fail('of a proxy') }),
    { get message() { throw new Error('of a getter'); } },
    Object.assign(new BrokenError('ECLOSED', 'closed'), { code: { toString: null } }),
    new Error('a\0b'),
  ];
  for (const what of thrown) {
    const { route, old } = await migration(t);
    old.write = () => {
      throw what;
    };
    await assert.rejects(route.write('k', 'v'), (error) => error instanceof RetryError && error.message.length > 1);
    await route.close();
  }
});

test('functions that return what they may not are errors, never a crash', async (t) => {
  const wrong = [
    [{ read: async () => 'x' }, 'EINVAL', /read returned a promise/],
    [{ read: () => 7 }, 'EUNAVAILABLE', /neither a string nor a Uint8Array/],
    [{ read: () => { throw null; } }, 'EUNAVAILABLE', /read threw null/],
    [{ read: () => { throw new Error('x'.repeat(3000)); } }, 'EUNAVAILABLE', /^x{1000}$/],
    [{ read: () => { throw new Error('two\nlines'); } }, 'EUNAVAILABLE', /two lines/],
    [{ read: () => { throw new MistakeError('EVALIDATION', 'no good'); } }, 'EVALIDATION', /no good/],
  ];
  const client = await definitions(t, { move: { type: 'string', variants: { off: 'off' }, default: 'off' } });
  for (const [old, expected, words] of wrong) {
    const route = await client.route(null, { flag: 'move', old: { write() {}, ...old }, new: new System() });
    await assert.rejects(route.read('k'), (error) => {
      assert.equal(error.code, expected);
      assert.match(error.message, words);
      return true;
    });
    await route.close();
  }
});

test('routes that lack something are refused', async (t) => {
  const { client } = await migration(t);
  const side = new System();
  for (const [options, expected] of [
    [{ old: side }, TypeError],
    [{ old: side, new: 7 }, TypeError],
    [{ old: side, new: { read: 1, write() {} } }, TypeError],
    [{ old: side, new: { read() {} } }, MistakeError],
    [{ old: side, new: side, order: 'sideways' }, TypeError],
    [{ old: side, new: side, workers: 3 }, TypeError],
    [{ old: side, new: side, compare: true }, TypeError],
  ])
    await assert.rejects(client.route('customers', options), expected);
  await assert.rejects(client.route('nothing', { old: side, new: side }), code('ENOTFOUND'));
});

test('a closed route does nothing any more', async (t) => {
  const { route, client } = await migration(t);
  await Promise.all([route.close(), route.close()]);
  await assert.rejects(route.read('k'), BrokenError);
  await assert.rejects(route.step(), BrokenError);
  const again = await client.route('customers', { old: new System(), new: new System() });
  await client.close();
  await assert.rejects(again.read('k'), BrokenError);
});

test('what an event handler throws is thrown, but breaks no operation', async (t) => {
  const { route } = await migration(t, {
    event() {
      throw new EvalError('mine');
    },
  });
  const thrown = [];
  const keep = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => thrown.push(error));
  try {
    await route.write('k', 'v');
    await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of keep) process.on('uncaughtException', listener);
  }
  assert.ok(thrown[0] instanceof EvalError);
});

test('garbage is collected in the middle of a callback', async (t) => {
  const { collectNow } = await import('./support.mjs');
  const { route, old } = await migration(t, {
    compare(a, b) {
      collectNow();
      return a.equals(b);
    },
    event: () => collectNow(),
  });
  await go(route, 'dualwrite');
  const { read } = old;
  old.read = function (key, call) {
    collectNow();
    return read.call(this, key, call);
  };
  for (let i = 0; i < 10; i++) {
    await route.write(`k${i}`, `v${i}`);
    collectNow();
    assert.equal((await route.read(`k${i}`)).value.toString(), `v${i}`);
  }
  await route.verify();
  await gc();
});

test('bytes that are handed over are copied', async (t) => {
  const client = await definitions(t, { stage: { type: 'string', variants: { off: 'off' }, default: 'off' } });
  const [old, other] = [new System(), new System()];
  const route = await client.route(null, { flag: 'stage', old, new: other });
  const [value, away] = [Buffer.from('value'), new Uint8Array([65, 66])];
  const written = [route.write('k', value), route.write('l', away)];
  value.fill('x');
  structuredClone(away.buffer, { transfer: [away.buffer] });
  await Promise.all(written);
  assert.equal((await route.read('k')).value.toString(), 'value');
  assert.equal((await route.read('l')).value.toString(), 'AB');
  await route.close();
});
