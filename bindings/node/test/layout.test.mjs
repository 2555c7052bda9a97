// The structures that are described to koffi, and those of the headers.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import '../index.mjs';
import { koffi, layouts, pack, packAll, packTexts } from '../lib/native.mjs';
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

const read = (bytes, name, at = 0) => koffi.decode(koffi.address(bytes), at, layouts.get(name));

test('structures are packed as koffi lays them out', () => {
  const hash = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
  const written = pack(layouts.get('flagver_write_options'), { note: 'M\u00e4rz', expect_no: 0xffffffff, content_hash: hash, parent_no: 7 });
  const { content_hash, ...rest } = read(written, 'flagver_write_options');
  assert.deepEqual(rest, { size: 40, note: 'M\u00e4rz', expect_no: 0xffffffff, flags: 0, parent_no: 7, baseline_no: 0 });
  assert.deepEqual(Buffer.from(koffi.decode(content_hash, koffi.array('uint8', 32))), hash);

  const actor = read(pack(layouts.get('flagver_actor'), { id: 'mia', roles: ['admin', ''], role_count: 2 }), 'flagver_actor');
  assert.deepEqual([actor.id, Number(actor.role_count)], ['mia', 2]);
  assert.deepEqual(koffi.decode(actor.roles, koffi.array('str', 2)), ['admin', '']);

  const list = read(pack(layouts.get('flagver_list_options'), { after: null, as_of: -(2n ** 62n), backwards: -1 }), 'flagver_list_options');
  assert.deepEqual([list.prefix, list.after, list.as_of, list.backwards], [null, null, -(2n ** 62n), -1]);
  assert.equal(read(pack(layouts.get('flagver_route_change'), { percentage: 0.1 }), 'flagver_route_change').percentage, 0.1);

  const contents = packAll(layouts.get('flagver_item_content'), [{ key: 'a', json: '1', length: 1 }, { key: 'b', json: '22', length: 2 }]);
  const size = koffi.sizeof(layouts.get('flagver_item_content'));
  assert.deepEqual([0, size].map((at) => read(contents, 'flagver_item_content', at).json), ['1', '22']);
  assert.deepEqual(koffi.decode(koffi.address(packTexts(['x', 'yz'])), koffi.array('str', 2)), ['x', 'yz']);
});
