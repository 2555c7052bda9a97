// What README.md says is run, and prints what stands there; the example runs; the packed package can be installed.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { libraryPath } from '../index.mjs';
import { directory } from './support.mjs';

const PACKAGE = path.join(path.dirname(new URL(import.meta.url).pathname), '..');

/** A place from which the package can be imported by its name. */
function project(t) {
  const dir = directory(t);
  mkdirSync(path.join(dir, 'node_modules'));
  symlinkSync(PACKAGE, path.join(dir, 'node_modules/flagver'));
  symlinkSync(path.join(PACKAGE, 'node_modules/@openfeature'), path.join(dir, 'node_modules/@openfeature'));
  return dir;
}

function run(file, dir, env = process.env) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { cwd: dir, encoding: 'utf8', env, timeout: 120000 });
  assert.equal(status, 0, `${file}: ${stderr}`);
  return stdout;
}

test('the snippets of README.md run, and print what it says', (t) => {
  const dir = project(t);
  const text = readFileSync(path.join(PACKAGE, 'README.md'), 'utf8');
  const snippets = [...text.matchAll(/^```js run\n([^]*?)^```\n\n```text\n([^]*?)^```/gm)];
  assert.equal(snippets.length, text.match(/^```js/gm).length);
  for (const [i, [, source, expected]] of snippets.entries()) {
    writeFileSync(path.join(dir, `${i}.mjs`), source);
    assert.equal(run(`${i}.mjs`, dir), expected);
  }
});

test('the example of a dual write runs', (t) => {
  const dir = project(t);
  cpSync(path.join(PACKAGE, 'examples/dual-write.mjs'), path.join(dir, 'dual-write.mjs'));
  assert.match(run('dual-write.mjs', dir), /--- taken back\n/);
});

const root = path.join(PACKAGE, '../..');
const skip = !existsSync(path.join(root, 'Makefile')) && 'the library is not beside the package';

test('the packed package can be installed against an installed library', { skip }, (t) => {
  const dir = directory(t);
  const prefix = process.env.FLAGVER_PREFIX ?? installLibrary(path.join(dir, 'prefix'));
  const env = { ...process.env, LD_PRELOAD: '' };
  const npm = (...args) => execFileSync('npm', [...args, '--silent', '--no-audit', '--no-fund'], { cwd: dir, env, encoding: 'utf8' });

  const [packed] = npm('pack', PACKAGE).trim().split('\n').slice(-1);
  writeFileSync(path.join(dir, 'package.json'), '{"name":"clean","private":true,"type":"module"}');
  npm('install', '--prefer-offline', `./${packed}`);
  const installed = path.join(dir, 'node_modules/flagver');
  for (const file of ['test', 'bench.mjs', 'node_modules', 'package-lock.json']) assert.ok(!existsSync(path.join(installed, file)), file);
  cpSync(path.join(installed, 'examples/dual-write.mjs'), path.join(dir, 'dual-write.mjs'));

  const found = { ...process.env, PKG_CONFIG_PATH: path.join(prefix, 'lib/pkgconfig') };
  delete found.FLAGVER_LIBRARY;
  writeFileSync(path.join(dir, 'where.mjs'), "console.log((await import('flagver')).libraryPath);");
  assert.equal(run('where.mjs', dir, found).trim(), path.join(prefix, 'lib/libflagver.so.0'));
  assert.match(run('dual-write.mjs', dir, found), /--- taken back\n/);
});

/**
 * What `make install` puts where pkg-config finds it, with the library that is tested. FLAGVER_PREFIX names
 * a place where the whole of it is installed.
 */
function installLibrary(prefix) {
  mkdirSync(path.join(prefix, 'lib/pkgconfig'), { recursive: true });
  cpSync(libraryPath, path.join(prefix, 'lib/libflagver.so.0'), { dereference: true });
  const template = readFileSync(path.join(root, 'pkgconfig/flagver.pc.in'), 'utf8');
  const values = { prefix, libdir: path.join(prefix, 'lib'), includedir: path.join(prefix, 'include') };
  writeFileSync(
    path.join(prefix, 'lib/pkgconfig/flagver.pc'),
    template.replace(/@(\w+)@/g, (_, name) => values[name] ?? ''),
  );
  return prefix;
}
