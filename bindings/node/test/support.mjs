// What tests share.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { open } from '../index.mjs';

setFlagsFromString('--expose_gc');
const collect = runInNewContext('gc');

/** Collects garbage, and lets finalizers run. */
export async function gc() {
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

export const collectNow = collect;

/** A fresh directory in memory, which goes when the test ends. */
export function directory(t) {
  const dir = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'flagver-node-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A client of definitions, closed when the test ends. */
export async function definitions(t, flags, options) {
  const client = await open('definitions:', options);
  t.after(() => client.close());
  client.load(flags.flags ? flags : { flags });
  return client;
}

export async function store(t, options) {
  const client = await open(`sqlite:${path.join(directory(t), 'test.db')}`, { background: false, ...options });
  t.after(() => client.close());
  return client;
}

export async function until(condition, what, ms = 20000) {
  const end = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what} did not happen`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export const code = (expected) => (error) => {
  if (error.code === expected) return true;
  throw error;
};
