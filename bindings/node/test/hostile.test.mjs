// What must not crash: threads, garbage collection, handles that are dropped, libraries that are none.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Context, libraryVersion, open } from '../index.mjs';
import { code, collectNow, definitions, directory, gc, store } from './support.mjs';

const INDEX = pathToFileURL(path.join(path.dirname(new URL(import.meta.url).pathname), '../index.mjs')).href;

/** Runs a program of its own, with another environment. */
function run(source, env = {}) {
  return spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 60000,
  });
}

function inWorker(source, data) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData: data });
    worker.once('message', (message) => resolve({ message, worker }));
    worker.once('error', reject);
  });
}

test('worker threads have clients of their own', async (t) => {
  const file = path.join(directory(t), 'test.db');
  const client = await open(`sqlite:${file}`);
  t.after(() => client.close());
  await client.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean', percentage: 50 }));
  await client.refresh();
  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { open } = await import(${JSON.stringify(INDEX)});
    const client = await open(workerData);
    client.listen(() => {});
    await client.transaction('worker', (txn) => txn.flags.put('g', { type: 'boolean' }));
    let on = 0;
    for (let i = 0; i < 1000; i++) on += client.bool('f', { targetingKey: 'u' + i });
    await client.close();
    parentPort.postMessage(on);`;
  let expected = 0;
  for (let i = 0; i < 1000; i++) expected += client.bool('f', { targetingKey: `u${i}` });
  const workers = await Promise.all(Array.from({ length: 3 }, () => inWorker(source, `sqlite:${file}`)));
  for (const { message, worker } of workers) {
    assert.equal(message, expected);
    await worker.terminate();
  }
});

test('workers that write to one store do not starve the one that must commit', async (t) => {
  const file = path.join(directory(t), 'test.db');
  const first = await open(`sqlite:${file}`);
  t.after(() => first.close());
  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { open } = await import(${JSON.stringify(INDEX)});
    const client = await open(workerData.uri, { background: false });
    for (let i = 0; i < 10; i++)
      await client.transaction('worker', async (txn) => {
        for (const name of ['f', 'g']) await txn.flags.put(name + workerData.i, { type: 'boolean', percentage: i });
      });
    await client.close();
    parentPort.postMessage('done');`;
  const workers = await Promise.all(Array.from({ length: 8 }, (_, i) => inWorker(source, { uri: `sqlite:${file}`, i })));
  for (const { worker } of workers) await worker.terminate();
  for (let i = 0; i < 8; i++) assert.equal((await first.versions.current('flagver.flag', `g${i}`)).no, 10);
});

test('a worker that is ended in the middle of it all takes nobody with it', async (t) => {
  const file = path.join(directory(t), 'test.db');
  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { open } = await import(${JSON.stringify(INDEX)});
    const client = await open(workerData, { pollMs: 10 });
    client.listen(() => {});
    const flags = await open('definitions:');
    flags.load({ flags: { f: { type: 'boolean', percentage: 50 } } });
    parentPort.postMessage('ready');
    (async () => { for (;;) await client.versions.list(null, {}).catch(() => {}); })();
    for (;;) { for (let i = 0; i < 100; i++) flags.bool('f', { targetingKey: 'u' + i }); await null; await new Promise(setImmediate); }`;
  for (let i = 0; i < 3; i++) {
    const { worker } = await inWorker(source, `sqlite:${file}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await worker.terminate();
  }
  const client = await open(`sqlite:${file}`);
  await client.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean' }));
  await client.close();
});

test('what nobody has kept is closed by itself', async (t) => {
  const file = path.join(directory(t), 'test.db');
  await (async () => {
    const client = await open(`sqlite:${file}`);
    const txn = await client.begin('alice');
    await txn.flags.put('f', { type: 'boolean' });
    client.snapshot();
    for (let i = 0; i < 100; i++) new Context({ targetingKey: 'u', list: [1, { a: 2 }] });
  })();
  await gc();
  await gc();
  const client = await open(`sqlite:${file}`);
  t.after(() => client.close());
  await client.transaction('bob', (txn) => txn.flags.put('g', { type: 'boolean' }));
  await assert.rejects(client.versions.current('flagver.flag', 'f')); // it was rolled back
});

test('a flag keeps its client', async () => {
  const flag = await (async () => {
    const client = await open('definitions:');
    client.load({ flags: { f: { type: 'boolean', percentage: 100 } } });
    return client.bind('f');
  })();
  await gc();
  assert.equal(flag.bool({ targetingKey: 'u' }), true);
  await flag.client.close();
});

test('garbage is collected while lists are walked', async (t) => {
  const client = await store(t);
  await client.transaction('alice', async (txn) => {
    for (let i = 0; i < 20; i++) await txn.flags.put(`f${i}`, { type: 'boolean' });
  });
  const seen = [];
  await client.versions.list('flagver.flag', {}, ({ subject }) => {
    seen.push(subject);
    new Context({ targetingKey: subject });
    collectNow();
  });
  await gc();
  assert.equal(seen.length, 20);
});

test('many calls at once are made in the end', async (t) => {
  const client = await store(t);
  await client.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean' }));
  const calls = Array.from({ length: 2000 }, () => client.versions.current('flagver.flag', 'f'));
  const ramped = client.transaction('alice', (txn) => txn.flags.ramp('f', 50));
  for (const { no } of await Promise.all(calls)) assert.ok(no === 1 || no === 2);
  assert.equal(await ramped, 2);
});

test('evaluation goes on while flags change on another thread', async (t) => {
  const file = path.join(directory(t), 'test.db');
  const client = await open(`sqlite:${file}`, { pollMs: 1 });
  const other = await open(`sqlite:${file}`, { background: false });
  t.after(() => Promise.all([client.close(), other.close()]));
  let done = false;
  const writing = (async () => {
    for (let i = 0; i < 50; i++)
      await other.transaction('alice', (txn) =>
        txn.flags.put('f', { type: 'string', variants: { [`v${i}`]: `text ${i}` }, default: `v${i}`, metadata: { i } }),
      );
    done = true;
  })();
  let seen = 0;
  while (!done) {
    for (let i = 0; i < 500; i++) {
      const { errorCode, value, variant, metadata } = client.stringDetail('f', { targetingKey: 'u' }, 'none');
      if (errorCode) continue;
      assert.equal(value, `text ${variant.slice(1)}`);
      assert.equal(`v${metadata.i}`, variant);
      seen++;
    }
    await new Promise(setImmediate);
  }
  await writing;
  assert.ok(seen > 0);
});

test('a program that forgets to close ends, and what it has counted is flushed', async (t) => {
  const file = path.join(directory(t), 'test.db');
  const { status, stderr } = run(`
    const { open } = await import(${JSON.stringify(INDEX)});
    const client = await open('sqlite:${file}');
    await client.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean' }));
    await client.refresh();
    client.listen(() => {});
    for (let i = 0; i < 100; i++) client.bool('f');`);
  assert.equal(status, 0, stderr);
  const client = await open(`sqlite:${file}`);
  t.after(() => client.close());
  const [group] = await client.tracking.report();
  assert.equal(group.evaluations, 100);
});

test('a library that is missing, none, or another version is told clearly', (t) => {
  const dir = directory(t);
  const text = path.join(dir, 'libflagver.so.0');
  writeFileSync(text, 'no library');
  const load = (library) => run(`await import(${JSON.stringify(INDEX)}).catch((e) => { console.log(e.name + ' ' + e.message); })`, { FLAGVER_LIBRARY: library });
  assert.match(load('/nowhere/libflagver.so.0').stdout, /^LibraryError libflagver was not found .*FLAGVER_LIBRARY/);
  assert.match(load(text).stdout, /^LibraryError libflagver was not found/);
  assert.match(load('libc.so.6').stdout, /^LibraryError libc.so.6 is no libflagver/);
  assert.match(libraryVersion, /^0\.1\./);
});

test('a library of another version is refused', (t) => {
  const dir = directory(t);
  const source = path.join(dir, 'other.c');
  const library = path.join(dir, 'libflagver.so.0');
  writeFileSync(source, 'const char *flagver_version_string(void);\nconst char *flagver_version_string(void) { return "9.8.7"; }\n');
  const env = { ...process.env, LD_PRELOAD: '' };
  const { status } = spawnSync(process.env.CC ?? 'cc', ['-shared', '-fPIC', '-o', library, source], { env });
  if (status !== 0) return t.skip('there is no C compiler');
  const { stdout } = run(`await import(${JSON.stringify(INDEX)}).catch((e) => { console.log(e.message); })`, { FLAGVER_LIBRARY: library });
  assert.match(stdout, /is version 9\.8\.7; this package needs 0\.1/);
});

test('the package can be required where Node has that', async (t) => {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major === 20 && minor < 19) return t.skip('this Node cannot require modules');
  const { createRequire } = await import('node:module');
  assert.equal(createRequire(import.meta.url)('../index.mjs').open, open);
});

test('definitions from somebody who means no good are refused or read', async (t) => {
  const client = await definitions(t, {});
  for (const text of ['', '[]', 'null', '{"flags":7}', `{"flags":${'['.repeat(5000)}`, '\0', '{"flags":{"\\ud800":{"type":"boolean"}}}', 'x'.repeat(1 << 20)])
    assert.throws(() => client.load(text), undefined, text.slice(0, 20));
  assert.equal(client.evaluate('x').errorCode, 'FLAG_NOT_FOUND');
});

test('a getter of a context may close what is asked', async () => {
  const closed = code('ECLOSED');
  const asks = {
    bool: (client, context) => client.bool('f', context),
    bound: (client, context) => client.bind('f').evaluate(context),
    'a key that is not bound': (client, context) => client.evaluate('x'.repeat(300), context),
    all: (client, context) => client.all(context),
    explain: (client, context) => client.explain('f', context),
    track: (client, context) => client.track('bought', context),
  };
  for (const [name, ask] of Object.entries(asks)) {
    const client = await open('definitions:');
    client.load({ flags: { f: { type: 'boolean', percentage: 50 } } });
    let done;
    const context = {
      get targetingKey() {
        done = client.close();
        return 'u';
      },
    };
    assert.throws(() => ask(client, context), closed, name);
    await done;
  }
});

test('a clock may close its client', async () => {
  let closing = null;
  let client = null;
  const clock = () => {
    closing = client?.close() ?? null;
    return 0;
  };
  const opened = await open('definitions:', { clock });
  opened.load({ flags: { f: { type: 'boolean', schedule: { steps: [{ at: '2030-01-01T00:00:00Z', percentage: 100 }] } } } });
  client = opened;
  assert.equal(opened.bool('f', { targetingKey: 'u' }, true), false);
  await closing;
  assert.equal(opened.closed, true);
});

test('a snapshot that a getter closes is not asked any more', async (t) => {
  const client = await definitions(t, { f: { type: 'boolean', percentage: 50 } });
  for (const ask of ['evaluate', 'explain']) {
    const snapshot = client.snapshot();
    const context = {
      get targetingKey() {
        snapshot.close();
        return 'u';
      },
    };
    assert.throws(() => snapshot[ask]('f', context), code('ECLOSED'), ask);
  }
});

test('a context is not filled by its own getters', async () => {
  const context = new Context({});
  const attributes = {
    get a() {
      assert.throws(() => context.set({ f() {} }), code('EBUSY'));
      return [1, 2];
    },
    b: 'x',
  };
  context.set(attributes);
  context.set({});
});

test('a client that is closed while something is opened on it ends that, too', async (t) => {
  const uri = `sqlite:${path.join(directory(t), 'test.db')}`;
  const rows = new Map();
  const side = { read: (key) => rows.get(key), write: (key, value) => void rows.set(key, value) };
  for (let turns = 0; turns < 20; turns++) {
    const client = await open(uri, { background: false });
    await client.transaction('mia', (txn) => txn.versions.put('flagver.migration', 'customers', { stage: 'off' }));
    const begun = client.begin('alice').catch(() => null);
    const opened = client.route('customers', { old: side, new: side }).catch(() => null);
    for (let i = 0; i < turns; i++) await null;
    await client.close();
    const [txn, route] = await Promise.all([begun, opened]);
    if (txn) await assert.rejects(txn.flags.put('f', { type: 'boolean' }), code('ECLOSED'));
    if (route) await assert.rejects(route.read('k'), code('ECLOSED'));
    await txn?.rollback();
    await route?.close();
  }
});

test('who holds a part of a client holds the client', async () => {
  const { versions } = await open('memory:');
  await gc();
  assert.deepEqual(await versions.list(null), []);
});

test('what was tracked is flushed at exit, also when a transaction is open', async (t) => {
  const file = path.join(directory(t), 'test.db');
  const { status, stderr } = run(`
    const { open } = await import(${JSON.stringify(INDEX)});
    const client = await open('sqlite:${file}');
    await client.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean' }));
    await client.refresh();
    for (let i = 0; i < 100; i++) client.bool('f');
    const txn = await client.begin('alice');
    await txn.flags.put('g', { type: 'boolean' });
    process.exit(0);`);
  assert.equal(status, 0, stderr);
  const client = await open(`sqlite:${file}`);
  t.after(() => client.close());
  const [group] = await client.tracking.report();
  assert.equal(group.evaluations, 100);
  await assert.rejects(client.versions.current('flagver.flag', 'g'), code('ENOTFOUND'));
});
