// The structures that are described to koffi, and those of the headers.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import '../index.mjs';
import { koffi, layouts } from '../lib/native.mjs';
import { directory } from './support.mjs';

const INCLUDE = path.join(path.dirname(new URL(import.meta.url).pathname), '../../../include');

function compiler() {
  try {
    return execFileSync('sh', ['-c', 'command -v "${CC:-cc}"'], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}

const cc = compiler();
const missing = (!cc && 'there is no C compiler') || (!existsSync(INCLUDE) && 'the headers are not beside the package');

test('structures are laid out as the headers say', { skip: missing }, (t) => {
  const dir = directory(t);
  const expected = [];
  const lines = [];
  for (const [name, type] of layouts) {
    expected.push(`${name} ${koffi.sizeof(type)}`);
    lines.push(`printf("%s %zu\\n", "${name}", sizeof(${name}));`);
    for (const { name: member, offset } of Object.values(type.members)) {
      expected.push(`${name}.${member} ${offset}`);
      lines.push(`printf("%s %zu\\n", "${name}.${member}", offsetof(${name}, ${member}));`);
    }
  }
  const source = path.join(dir, 'layout.c');
  const program = path.join(dir, 'layout');
  writeFileSync(source, `#include <flagver.h>\n#include <stdio.h>\nint main(void)\n{\n${lines.join('\n')}\nreturn 0;\n}\n`);
  const env = { ...process.env, LD_PRELOAD: '' };
  execFileSync(cc, ['-std=c11', '-I', INCLUDE, source, '-o', program], { env });
  assert.deepEqual(execFileSync(program, { encoding: 'utf8', env }).trim().split('\n'), expected);
  assert.ok(layouts.size > 25);
});
