// Where the shared library is, and whether it is the right one.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { LibraryError } from './error.mjs';

const SONAME = 'libflagver.so.0';

/** While the first number is 0 a minor version may change what is promised. */
const WANTED = '0.1';

const PACKAGE = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const STANDARD = ['/usr/local/lib', '/usr/lib', '/usr/local/lib64', '/usr/lib64'];

// Stacks of calls on other threads: SQLite and deep JSON need more than koffi gives by default.
const CALL_STACK = 1 << 20;

function fromPkgConfig() {
  try {
    const dir = execFileSync('pkg-config', ['--variable=libdir', 'flagver'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5000,
    }).trim();
    return dir ? [path.join(dir, SONAME)] : [];
  } catch {
    return []; // no pkg-config, or it does not know of us
  }
}

function* candidates() {
  for (const dir of [PACKAGE, path.join(PACKAGE, 'lib')]) yield path.join(dir, SONAME);
  yield* fromPkgConfig();
  for (const dir of STANDARD) yield path.join(dir, SONAME);
}

/** The library's path; a bare name is left to the system's loader (LD_LIBRARY_PATH, ld.so.cache). */
function find() {
  const named = process.env.FLAGVER_LIBRARY;
  if (named) return named;
  for (const file of candidates()) if (existsSync(file)) return file;
  return SONAME;
}

function check(library, file) {
  let version;
  try {
    version = library.func('str flagver_version_string()')();
  } catch (cause) {
    throw new LibraryError(`${file} is no libflagver: ${cause.message}`, { cause });
  }
  if (version.split('.').slice(0, 2).join('.') !== WANTED)
    throw new LibraryError(`${file} is version ${version}; this package needs ${WANTED}`);
  return version;
}

function load() {
  const file = find();
  let library;

  if (process.platform !== 'linux' || !['x64', 'arm64', 'riscv64'].includes(process.arch))
    throw new LibraryError(`libflagver runs on 64-bit Linux, not on ${process.platform} ${process.arch}`);
  try {
    koffi.config({ async_stack_size: CALL_STACK });
  } catch {
    // Another package has loaded a library already; its settings are in force.
  }
  try {
    library = koffi.load(file);
  } catch (cause) {
    throw new LibraryError(
      `libflagver was not found (${cause.message}); install it, or set FLAGVER_LIBRARY to the path of ${SONAME}`,
      { cause },
    );
  }
  return { library, file, version: check(library, file) };
}

export const { library, file, version } = load();

/** A function of the library; that it is missing says that the library is older than this package. */
export function func(name, result, parameters) {
  try {
    return library.func(name, result, parameters);
  } catch (cause) {
    throw new LibraryError(`${file} (version ${version}) has no ${name}: it is older than this package`, { cause });
  }
}
