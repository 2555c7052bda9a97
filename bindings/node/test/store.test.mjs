import assert from 'node:assert/strict';
import { test } from 'node:test';
import path from 'node:path';
import { BrokenError, JsonText, MistakeError, RetryError, auditKeys, open, provesConsistency, provesInclusion, readCheckpoint, uuidV5, uuidV8 } from '../index.mjs';
import { code, directory, store, until } from './support.mjs';


const BOB = { id: 'bob', roles: ['Reviewer'] };

/** A phase of reports whose versions need one approval by somebody else. */
async function withReports(client, policy = {}) {
  await client.transaction({ id: 'root' }, (txn) => txn.versions.put('flagver.phase', 'report', policy));
}

test('flags are changed in transactions, and all see them', async (t) => {
  const client = await store(t);
  const no = await client.transaction('alice', async (txn) => {
    assert.equal(await txn.flags.put('f', { type: 'boolean', percentage: 10 }, 'first'), 1);
    await txn.segments.put('staff', { include: ['bob'] });
    return txn.flags.put('g', new JsonText('{"type":"boolean","rules":[{"if":{"segment":"staff"},"serve":"on"}]}'));
  });
  assert.equal(no, 1);
  await client.refresh();
  assert.equal(client.bool('g', { targetingKey: 'bob' }), true);

  await client.transaction('alice', async (txn) => {
    await txn.flags.ramp('f', 50, { note: 'more', expect: 1 });
    await txn.flags.betaAdd('f', ['carol', 'dave']);
    await txn.flags.betaRemove('f', ['dave']);
    await txn.flags.disable('g');
    await txn.flags.enable('g');
    await txn.flags.schedule('f', { steps: [{ at: new Date('2026-01-01'), percentage: 100 }] });
    await txn.flags.schedule('f', null);
    await txn.flags.release('f');
  });
  await client.refresh();
  assert.equal(client.bool('f', { targetingKey: 'anyone' }), true);
  assert.match(await client.versions.diff('flagver.flag', 'f', 1, 2), /percentage: 10 -> 50/);
  assert.deepEqual(await client.versions.diff('flagver.flag', 'f', 1, 2, 'merge-patch'), { percentage: 50 });
  assert.equal(client.boolDetail('f', { targetingKey: 'x' }).version, 7);

  const history = await client.versions.history('flagver.flag', 'f');
  assert.deepEqual(history.map(({ no: n }) => n), [1, 2, 3, 4, 5, 6, 7]);
  assert.equal(history[1].note, 'more');
  assert.equal(history[0].createdBy, 'alice');
  assert.equal(history[0].state, 'superseded');
  assert.deepEqual(history[0].payload, { percentage: 10, type: 'boolean' });
  const { no: then } = await client.versions.asOf('flagver.flag', 'f', history[0].decidedAt);
  assert.equal(then, 1);

  await client.transaction('alice', (txn) => txn.flags.revert('f', 1));
  await client.transaction('alice', (txn) => txn.flags.delete('g'));
  await client.refresh();
  assert.equal(client.evaluate('g').errorCode, 'FLAG_NOT_FOUND');
  const past = await client.snapshotAt(history[6].decidedAt);
  assert.equal(past.evaluate('g', { targetingKey: 'bob' }).value, true);
});

test('a refused operation changes nothing, and the transaction goes on', async (t) => {
  const client = await store(t);
  await client.transaction('alice', async (txn) => {
    await assert.rejects(txn.flags.ramp('nope', 50), (error) => error instanceof MistakeError && error.code === 'ENOTFOUND');
    await assert.rejects(txn.flags.put('f', { type: 'nonsense' }), code('EPARSE'));
    await assert.rejects(txn.flags.put('f', () => 1), TypeError);
    await assert.rejects(txn.flags.put(7, {}), TypeError);
    await assert.rejects(txn.flags.ramp('f', '50'), TypeError);
    await assert.rejects(txn.flags.betaAdd('f', 'bob'), TypeError);
    await assert.rejects(txn.flags.put('f\0g', {}), TypeError);
    await txn.flags.put('f', { type: 'boolean' });
  });
  assert.equal((await client.versions.current('flagver.flag', 'f')).no, 1);
});

test('what throws rolls back', async (t) => {
  const client = await store(t);
  await assert.rejects(
    client.transaction('alice', async (txn) => {
      await txn.flags.put('f', { type: 'boolean' });
      throw new EvalError('mine');
    }),
    EvalError,
  );
  await assert.rejects(client.versions.current('flagver.flag', 'f'), code('ENOTFOUND'));
  const txn = await client.begin({ id: 'alice', roles: ['Tester'] });
  await txn.flags.put('f', { type: 'boolean' });
  await txn.rollback();
  await txn.rollback();
  await assert.rejects(txn.flags.put('f', { type: 'boolean' }), BrokenError);
  await assert.rejects(txn.commit(), BrokenError);
});

test('many transactions at once take their turns, and none starves', async (t) => {
  const client = await store(t);
  await client.transaction('root', (txn) => txn.flags.put('f', { type: 'boolean', percentage: 0 }));
  await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      client.transaction(`user${i}`, async (txn) => {
        await txn.flags.ramp('f', i);
        await new Promise((resolve) => setTimeout(resolve, 1));
        await txn.flags.ramp('f', i + 0.5);
      }),
    ),
  );
  assert.equal((await client.versions.history('flagver.flag', 'f')).length, 81);
});

test('clients that are closed while a transaction is open do not starve it', async (t) => {
  const client = await store(t);
  await client.transaction('root', (txn) => txn.flags.put('f', { type: 'boolean' }));
  const { uri } = client.health();
  const others = await Promise.all(Array.from({ length: 8 }, () => open(uri, { waitMs: 60000 })));
  for (const other of others) other.track('seen'); // closing flushes it, and waits for the writer
  const txn = await client.begin('alice');
  await txn.flags.ramp('f', 50);
  let closed = 0;
  const closing = others.map((other) => other.close().then(() => closed++));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(closed < others.length);
  await txn.commit();
  await Promise.all(closing);
  const [{ count }] = await client.tracking.report();
  assert.equal(count, others.length);
});

test('who waits for too long for others of the process is told', async (t) => {
  const client = await store(t, { waitMs: 50 });
  const txn = await client.begin('alice');
  await assert.rejects(client.begin('bob'), (error) => error instanceof RetryError && error.code === 'EBUSY');
  await txn.rollback();
  await (await client.begin('bob')).rollback();
});

test('calls of one transaction that are not awaited are made in order', async (t) => {
  const client = await store(t);
  await client.transaction('alice', (txn) =>
    Promise.all([
      txn.flags.put('f', { type: 'boolean', percentage: 1 }),
      ...Array.from({ length: 20 }, (_, i) => txn.flags.ramp('f', i)),
    ]),
  );
  const { payload, no } = await client.versions.current('flagver.flag', 'f');
  assert.equal(payload.percentage, 19);
  assert.equal(no, 21);
});

test('an idempotency key makes a second run harmless', async (t) => {
  const client = await store(t);
  const options = { idempotencyKey: 'job-7' };
  for (let i = 0; i < 2; i++) await client.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean' }), options);
  assert.equal((await client.versions.history('flagver.flag', 'f')).length, 1);
  await assert.rejects(client.transaction('alice', (txn) => txn.flags.put('g', { type: 'boolean' }), options), code('EIDEM'));
});

test('records are drafted, handed in, approved and decided item by item', async (t) => {
  const client = await store(t);
  await withReports(client, { approval: { rule: { role_in: ['Reviewer'] } } });
  const draft = await client.transaction('alice', (txn) => txn.versions.create('report', 'cycle/1', { a: 1 }, 'why'));
  assert.equal(draft.no, 1);
  assert.equal(draft.state, 'draft');
  await client.transaction('alice', async (txn) => {
    await txn.versions.edit('report', 'cycle/1', 1, { a: 2 });
    await txn.items.put('report', 'cycle/1', 1, { s1: { x: 1 }, s2: [2] });
    await txn.items.remove('report', 'cycle/1', 1, ['s2']);
    await txn.versions.submit('report', 'cycle/1', 1);
  });
  assert.deepEqual((await client.versions.items('report', 'cycle/1', 1)).map(({ key, status, payload }) => [key, status, payload]), [
    ['s1', 'pending', { x: 1 }],
  ]);
  assert.equal((await client.versions.due(BOB, 'report')).length, 1);
  await assert.rejects(client.transaction('alice', (txn) => txn.versions.approve('report', 'cycle/1', 1)), MistakeError);
  const { contentHash } = await client.versions.get('report', 'cycle/1', 1);
  await client.transaction(BOB, async (txn) => {
    await txn.items.decide('report', 'cycle/1', 1, ['s1'], 'approved');
    await assert.rejects(txn.versions.approve('report', 'cycle/1', 1, { contentHash: 'ab'.repeat(32) }), code('ECHANGED'));
    await txn.versions.approve('report', 'cycle/1', 1, { contentHash });
  });
  const current = await client.versions.current('report', 'cycle/1');
  assert.equal(current.state, 'approved');
  assert.equal(current.decidedBy, 'bob');
  assert.deepEqual(await client.versions.byId(current.id), current);
  assert.deepEqual(await client.versions.authors('report', 'cycle/1', 1), ['alice']);
  assert.equal((await client.versions.votes('report', 'cycle/1', 1))[0].actor, 'bob');
  assert.equal((await client.versions.list('report', { prefix: 'cycle/' })).length, 1);
  assert.equal((await client.versions.list('report', { states: ['draft'] })).length, 0);
  assert.equal((await client.versions.metrics({ phase: 'report' }))[0].states.approved, 1);
  assert.ok((await client.versions.policy('report')).policy !== undefined);

  await client.transaction('alice', (txn) => txn.versions.create('report', 'cycle/1', { a: 3 }));
  await client.transaction('alice', (txn) => txn.versions.withdraw('report', 'cycle/1', 2));
  await client.transaction('alice', (txn) => txn.versions.revert('report', 'cycle/1', 1));
  await client.transaction('alice', (txn) => txn.versions.assign('Owner', 'cycle/1', 'bob'));
  await client.transaction('alice', (txn) => txn.versions.unassign('Owner', 'cycle/1', 'bob'));
});

test('a walk ends when its visitor says so, or throws', async (t) => {
  const client = await store(t);
  await client.transaction('alice', async (txn) => {
    for (let i = 0; i < 10; i++) await txn.flags.put('f', { type: 'boolean', percentage: i });
  });
  const seen = [];
  await client.versions.history('flagver.flag', 'f', {}, ({ no }) => seen.push(no) < 3);
  assert.deepEqual(seen, [1, 2, 3]);
  await assert.rejects(
    client.versions.history('flagver.flag', 'f', {}, () => {
      throw new EvalError('mine');
    }),
    EvalError,
  );
  assert.equal((await client.versions.history('flagver.flag', 'f', { limit: 4, backwards: true }))[0].no, 10);
  await assert.rejects(client.versions.history('flagver.flag', 'f', { limit: -1 }), RangeError);
  await assert.rejects(client.versions.list('x', { states: ['nonsense'] }), TypeError);
});

test('the audit log proves itself', async (t) => {
  const client = await store(t);
  const { signer, verifier } = auditKeys('example.com/test');
  await client.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean' }));
  const old = await client.audit.head();
  const checkpoint = await client.audit.checkpoint({ signer });
  assert.deepEqual(readCheckpoint(checkpoint, verifier), old);
  assert.throws(() => readCheckpoint('nonsense'), code('EPARSE'));
  await client.transaction('bob', (txn) => txn.flags.ramp('f', 50, 'half'));
  const head = await client.audit.head();
  assert.ok(head.size > old.size);

  const { entries, next } = await client.audit.log();
  assert.equal(entries.length, head.size);
  assert.equal(next, head.size);
  assert.equal(entries[0].actor, 'alice');
  assert.deepEqual((await client.audit.log(next)).entries, []);

  const inclusion = await client.audit.proveInclusion(1);
  assert.equal(inclusion.leaf, entries[1].leafHash);
  assert.equal(provesInclusion(inclusion, head.root), true);
  assert.equal(provesInclusion({ ...inclusion, leaf: '00'.repeat(32) }, head.root), false);
  const consistency = await client.audit.proveConsistency(old.size);
  assert.equal(provesConsistency(consistency, old.root, head.root), true);
  assert.equal(provesConsistency(consistency, head.root, head.root), false);
  assert.throws(() => provesInclusion({}, head.root), TypeError);

  const result = await client.audit.verify({ checkpoint, verifier });
  assert.equal(result.findings, 0);
  assert.deepEqual(result.lines, []);
  assert.equal(result.root, head.root);
  await assert.rejects(client.audit.proveInclusion(1000), code('EINVAL'));
  for (const wrong of [-1, 2n ** 64n, -1n]) await assert.rejects(client.audit.log(wrong), RangeError);
  await assert.rejects(client.audit.log(0, 2 ** 32 + 1), RangeError);
  await assert.rejects(client.audit.proveInclusion(2n ** 64n), RangeError);
  for (const wrong of [2n ** 63n, -(2n ** 64n)]) {
    await assert.rejects(client.snapshotAt(wrong), RangeError);
    await assert.rejects(client.tracking.forget(wrong), RangeError);
  }
});

test('ids are mapped both ways', async (t) => {
  const client = await store(t);
  const id = await client.transaction('alice', async (txn) => {
    await txn.ids.put('users', '1', 'one');
    await assert.rejects(txn.ids.put('users', '2', 'one'), code('EEXIST'));
    assert.equal(await txn.ids.get('users', '1'), 'one');
    assert.equal(await txn.ids.getOld('users', 'one'), '1');
    return txn.ids.new('users', '17');
  });
  assert.equal(id, uuidV8('6f1d0c1e-52b4-4c8e-9f57-0d3a7be2a4c9', 'default\x1fusers\x1f17'));
  assert.equal(await client.ids.get('users', '17'), id);
  assert.equal(await client.ids.getOld('users', id), '17');
  assert.deepEqual((await client.ids.list('users')).map(({ oldId }) => oldId), ['1', '17']);
  await client.transaction('alice', (txn) => txn.ids.remove('users', '1'));
  await assert.rejects(client.ids.get('users', '1'), code('ENOTFOUND'));
  assert.equal(uuidV5('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'www.example.com'), '2ed6657d-e927-568b-95e1-2665a8aea6a2');
});

test('flags as code: planned, applied, exported', async (t) => {
  const client = await store(t);
  const file = { flags: { a: { type: 'boolean' }, b: { type: 'boolean', percentage: 5 } } };
  assert.deepEqual((await client.flags.plan(file)).map(({ action, key }) => [action, key]), [
    ['create', 'a'],
    ['create', 'b'],
  ]);
  assert.equal(await client.transaction('alice', (txn) => txn.flags.apply(file, { note: 'all' })), 2);
  assert.equal(await client.transaction('alice', (txn) => txn.flags.apply(file)), 0);
  assert.deepEqual(Object.keys(JSON.parse(await client.flags.export()).flags), ['a', 'b']);
  await assert.rejects(client.flags.plan({ flags: { a: {} } }), code('EPARSE'));
});

test('listeners are told which flags changed, of this process and of others', async (t) => {
  const file = path.join(directory(t), 'shared.db');
  const client = await open(`sqlite:${file}`, { pollMs: 20 });
  const other = await open(`sqlite:${file}`);
  t.after(() => Promise.all([client.close(), other.close()]));
  const told = [];
  const stop = client.listen((keys) => told.push(...keys));
  await other.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean' }));
  await until(() => told.length > 0, 'a change');
  assert.deepEqual(told, ['f']);
  assert.equal(client.bool('f'), true);
  stop();
  await other.transaction('alice', (txn) => txn.flags.disable('f'));
  await until(() => client.bool('f') === false, 'the second change');
  assert.deepEqual(told, ['f']);
});

test('tenants share a store and nothing else', async (t) => {
  const client = await store(t);
  const staging = await client.tenant('staging');
  await staging.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean' }));
  await staging.refresh();
  await client.refresh();
  assert.equal(staging.bool('f'), true);
  assert.equal(client.evaluate('f').errorCode, 'FLAG_NOT_FOUND');
  assert.equal(staging.health().tenant, 'staging');
  await staging.close();
});

test('what becomes of flags is tracked', async (t) => {
  const client = await store(t);
  await client.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean', metadata: { events: 'bought' } }));
  await client.refresh();
  for (let i = 0; i < 1000; i++) client.bool('f', { targetingKey: `u${i}` });
  await client.tracking.run(client.boolDetail('f'), async () => 1);
  await assert.rejects(
    client.tracking.run(client.boolDetail('f'), () => {
      throw new EvalError('mine');
    }),
    EvalError,
  );
  client.track('bought', { targetingKey: 'u' }, 9.5);
  client.tracking.outcome('f', 'on', { latencyMs: 12 });
  assert.throws(() => client.track('', {}), MistakeError);
  assert.throws(() => client.track('x', {}, NaN), MistakeError);
  assert.throws(() => client.track('x', {}, '1'), TypeError);
  assert.throws(() => client.tracking.outcome('f', 'on', { latencyMs: -1 }), TypeError);
  await client.tracking.flush();
  const groups = await client.tracking.report({ by: 'day' });
  const flag = groups.find((group) => group.flag === 'f' && group.event === null);
  assert.equal(flag.evaluations, 1002);
  assert.equal(flag.failed, 1);
  assert.equal(flag.succeeded, 2);
  const event = groups.find((group) => group.event === 'bought' && group.flag === 'f');
  assert.equal(event.sum, 9.5);
  assert.match(await client.tracking.openMetrics(), /flagver_outcomes_total.*[\s\S]*# EOF\n$/);
  assert.deepEqual(await client.flags.guard('root'), []);
  await client.tracking.forget(new Date(Date.now() + 7200e3));
  assert.deepEqual(await client.tracking.report(), []);
});

test('closing ends what is open', async (t) => {
  const client = await open(`sqlite:${path.join(directory(t), 'x.db')}`);
  const txn = await client.begin('alice');
  const pending = Promise.allSettled([txn.flags.put('f', { type: 'boolean' }), client.versions.list()]);
  await client.close();
  for (const { reason } of await pending) assert.ok(reason === undefined || reason instanceof BrokenError);
  await assert.rejects(txn.commit(), BrokenError);
});

test('what needs a store says so where there is none', async (t) => {
  const client = await open('definitions:');
  t.after(() => client.close());
  await assert.rejects(client.begin('alice'), code('ENOTSUP'));
  await assert.rejects(client.versions.current('a', 'b'), code('ENOTSUP'));
  await assert.rejects(client.audit.head(), code('ENOTSUP'));
});

test('actors are checked', async (t) => {
  const client = await store(t);
  for (const actor of [undefined, null, 7, {}, { id: 7 }, { id: 'a', roles: 'b' }, { id: 'a', roles: [7] }])
    await assert.rejects(client.begin(actor), TypeError);
  await assert.rejects(client.begin(''), code('EINVAL'));
  await assert.rejects(client.begin('x'.repeat(300)), code('EINVAL'));
  await (await client.begin('fine')).rollback();
});

test('a store in memory: readers wait for the writer, who is not starved', async (t) => {
  const client = await open('memory:', { background: false });
  t.after(() => client.close());
  await client.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean' }));
  const txn = await client.begin('alice');
  await txn.flags.ramp('f', 50);
  const reads = Array.from({ length: 20 }, () => client.versions.current('flagver.flag', 'f'));
  await txn.flags.ramp('f', 60);
  await txn.commit();
  for (const { no } of await Promise.all(reads)) assert.ok(no === 1 || no === 3);
});

test('closing waits for what waits', async () => {
  const client = await open('memory:');
  const calls = Array.from({ length: 30 }, () => client.flags.guard('root'));
  const lists = Array.from({ length: 30 }, () => client.versions.list());
  await client.close();
  for (const { reason } of await Promise.allSettled([...calls, ...lists])) if (reason) assert.ok(reason instanceof BrokenError);
});

test('a transaction that is forgotten is in nobody\'s way for longer than its timeout', async (t) => {
  const client = await store(t, { waitMs: 5000 });
  const forgotten = await client.begin('alice', { timeoutMs: 200 });
  await forgotten.flags.put('f', { type: 'boolean' });
  await client.transaction('bob', (txn) => txn.flags.put('g', { type: 'boolean' }));
  await assert.rejects(forgotten.commit(), code('ETIMEDOUT'));
  await assert.rejects(client.versions.current('flagver.flag', 'f'), code('ENOTFOUND'));
});

test('a visitor that returns a promise is refused', async (t) => {
  const client = await store(t);
  await client.transaction('alice', (txn) => txn.flags.put('f', { type: 'boolean' }));
  const visitor = async () => {
    throw new Error('nobody waits for this');
  };
  await assert.rejects(client.versions.list('flagver.flag', {}, visitor), /promise/);
});
