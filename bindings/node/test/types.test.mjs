import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import * as flagver from '../index.mjs';
import * as openfeature from '../openfeature.mjs';

const HERE = path.dirname(new URL(import.meta.url).pathname);

test('the types compile, and refuse what they are to refuse', () => {
  const tsc = path.join(HERE, '../node_modules/.bin/tsc');
  const { status, stdout, stderr } = spawnSync(tsc, ['-p', path.join(HERE, 'types')], {
    encoding: 'utf8',
    env: { ...process.env, LD_PRELOAD: '' },
  });
  assert.equal(status, 0, stdout + stderr);
});

test('the types name what the modules export, and nothing else', () => {
  for (const [file, module] of [
    ['index.d.ts', flagver],
    ['openfeature.d.ts', openfeature],
  ]) {
    const text = readFileSync(path.join(HERE, '..', file), 'utf8');
    const typed = [...text.matchAll(/^export (?:class|function|const) (\w+)/gm)].map(([, name]) => name);
    assert.deepEqual([...new Set(typed)].sort(), Object.keys(module).sort());
  }
});

test('the types name the members of every class', async () => {
  const text = readFileSync(path.join(HERE, '../index.d.ts'), 'utf8');
  for (const name of ['Client', 'Flag', 'Snapshot', 'Transaction', 'Route', 'Context']) {
    const [, body] = new RegExp(`^export class ${name}\\b[^{]*\\{\\n([^]*?)^\\}`, 'm').exec(text);
    const typed = new Set([...body.matchAll(/^ {2}(?:readonly )?(\w+)[(<:?]/gm)].map(([, member]) => member));
    const members = Object.getOwnPropertyNames(flagver[name].prototype).filter((member) => member !== 'constructor');
    for (const member of members) assert.ok(typed.has(member), `${name}.${member} is not typed`);
  }
});
