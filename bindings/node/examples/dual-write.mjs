// Dual write, step by step: customers move from one system to another one while both are in use. One of
// them fails, one is spoiled, and once it is all taken back; no write is lost.
//
// The two systems are maps in memory. They stand for whatever can be reached by a few synchronous
// functions. What must not be forgotten is in the store of the migration.
//
// Prints what the application does, and what the systems have then. Ends with 1 if any of it is not as
// it should be.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { open } from 'flagver';

const CUSTOMERS = Array.from({ length: 50 }, (_, i) => `c${String(i).padStart(2, '0')}`);

class System {
  rows = new Map();
  down = false;

  constructor(name) {
    this.name = name;
  }

  /** What is thrown is the side's error, in these words. */
  #check() {
    if (this.down) throw new Error(`the ${this.name} is down`);
  }

  read(key) {
    this.#check();
    return this.rows.get(key);
  }

  /** Whether it was there or not: a repair writes what may have been written before. */
  write(key, value) {
    this.#check();
    this.rows.set(key, value.toString());
  }

  remove(key) {
    this.#check();
    this.rows.delete(key);
  }

  scan(after, limit) {
    this.#check();
    const keys = [...this.rows.keys()].filter((key) => key > after).sort();
    return { rows: keys.slice(0, limit).map((key) => [key, this.rows.get(key)]), end: keys.length <= limit };
  }
}

const old = new System('old system');
const fresh = new System('new system');

/** What both systems have, and must have. */
function show(key, inOld, inNew) {
  const [a, b] = [old, fresh].map((system) => system.rows.get(key) ?? 'nothing');
  console.log(`              ${key}: the old system has ${a}, the new one ${b}`);
  assert.deepEqual([a, b], [inOld, inNew]);
}

/** A customer moves. That the other system has not heard of it is no error, but it is told. */
async function moveTo(route, key, city) {
  try {
    const { stage, pending } = await route.write(key, city);
    console.log(`${stage.padEnd(9)} ${key} moves to ${city}: done${pending ? ', and to be repaired in the other system' : ''}`);
    return pending;
  } catch (error) {
    console.log(`${error.result.stage.padEnd(9)} ${key} moves to ${city}: ${error.message}`);
    throw error;
  }
}

/** All customers are looked up. */
async function lookUp(route, times = 1) {
  let fromNew = 0;
  let differ = 0;
  let stage;
  for (let i = 0; i < times; i++)
    for (const key of CUSTOMERS) {
      const result = await route.read(key);
      stage = result.stage;
      if (result.side === 'new') fromNew++;
      if (result.consistent === false) differ++;
    }
  console.log(`${stage.padEnd(9)} ${times * CUSTOMERS.length} reads, ${fromNew} answered by the new system; in ${differ} the two differed`);
}

/** Copies and repairs until nothing is left. Services let the route do it: background: true. */
async function catchUp(route) {
  let copied = 0;
  let repaired = 0;
  for (let i = 0; i < 1000; i++) {
    const progress = await route.step();
    copied += progress.copied;
    repaired += progress.repaired;
    if (progress.waiting === 0 && progress.copied === 0) {
      console.log(`${progress.stage.padEnd(9)} ${copied} copied, ${repaired} repaired, 0 waiting`);
      return;
    }
    await pause(10);
  }
  assert.fail('keys wait for ever');
}

/** Compares all records, and gives the new system what the old one has, where they differ. */
async function verify(route, expected) {
  const { compared, differences, list } = await route.verify({ repair: true });
  for (const { key, old: a, new: b } of list) console.log(`              ${key} differs: old "${a}", new "${b}"`);
  console.log(`          verified: ${compared} customers, ${differences} differ`);
  assert.equal(differences, expected);
}

/** The gates go by what is in the store, where a step brings what reads have shown. */
async function goTo(route, stage) {
  await route.step();
  await route.stage('mia', stage, stage === 'ramp' ? { percentage: 30 } : {});
  await route.step();
  console.log(`--- ${stage}`);
}

/** Either system fails. The one that is believed decides what the caller hears. */
async function failures(route) {
  await moveTo(route, 'c01', 'Lisbon');
  show('c01', 'Lisbon', 'Lisbon');

  fresh.down = true;
  assert.equal(await moveTo(route, 'c02', 'Porto'), true);
  fresh.down = false;
  show('c02', 'Porto', 'Berlin');
  await catchUp(route);
  show('c02', 'Porto', 'Porto');

  old.down = true;
  await assert.rejects(moveTo(route, 'c03', 'Faro'), { message: 'the old system is down' });
  old.down = false;
  await catchUp(route);
  show('c03', 'Berlin', 'Berlin');
}

/** Reads of both systems are compared; the caller gets what the old one says. */
async function shadowReads(route) {
  fresh.rows.set('c07', 'Atlantis');
  await lookUp(route);
  await verify(route, 1);
  show('c07', 'Berlin', 'Berlin');
  await verify(route, 0);
  await lookUp(route, 20);
}

// In a service "sqlite:…" or "postgresql:…": this one is gone when the program ends.
const client = await open('memory:');
await client.transaction('mia', (txn) => txn.versions.put('flagver.migration', 'customers', { stage: 'off' }));
for (const key of CUSTOMERS) {
  old.rows.set(key, 'Berlin');
  fresh.rows.set(key, 'Berlin');
}
for (const key of CUSTOMERS.slice(20)) fresh.rows.delete(key);
const route = await client.route('customers', { old, new: fresh, compare: (a, b) => a.equals(b) });

await goTo(route, 'dualwrite');
await failures(route);
await goTo(route, 'backfill');
await catchUp(route);
await goTo(route, 'shadow');
await shadowReads(route);
await goTo(route, 'ramp');
await lookUp(route);
await goTo(route, 'live');
await moveTo(route, 'c11', 'Madrid');
await route.rollback('mia', 'the new system is slow');
console.log('--- taken back');
await moveTo(route, 'c12', 'Rome');
show('c11', 'Madrid', 'Madrid');
show('c12', 'Rome', 'Berlin');

await route.close();
await client.close();
