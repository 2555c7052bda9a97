// The id map: what an entity is called in an old system and in a new one.

import { ERR, HANDLE, VISIT, callNow, checkText, func, koffi, optionalText, visitLater, struct } from './native.mjs';

const ENTRY = struct('flagver_idmap_entry', { entity: 'str', old_id: 'str', new_id: 'str', time: 'int64' });
const idGet = func('flagver_idmap_get', 'int', [HANDLE, 'str', 'str', HANDLE, ERR]);
const idGetOld = func('flagver_idmap_get_old', 'int', [HANDLE, 'str', 'str', HANDLE, ERR]);
const idVisit = func('flagver_idmap_visit', 'int', [HANDLE, 'str', 'str', VISIT, HANDLE, ERR]);
const v5 = func('flagver_uuid_v5', 'int', ['str', 'str', 'size_t', HANDLE, ERR]);
const v8 = func('flagver_uuid_v8', 'int', ['str', 'str', 'size_t', HANDLE, ERR]);

function entryAt(address) {
  const row = koffi.decode(address, ENTRY);
  return { entity: row.entity, oldId: row.old_id, newId: row.new_id, time: row.time };
}

/** Reading; writing is the transaction's. */
export class Ids {
  #core;

  constructor(core) {
    this.#core = core;
  }

  async get(entity, oldId) {
    const args = [checkText(entity, 'the entity'), checkText(oldId, 'the old id')];
    return this.#core.call(idGet, (f) => [this.#core.handle, ...args, f.out, f.err], (f) => f.string());
  }

  async getOld(entity, newId) {
    const args = [checkText(entity, 'the entity'), checkText(newId, 'the new id')];
    return this.#core.call(idGetOld, (f) => [this.#core.handle, ...args, f.out, f.err], (f) => f.string());
  }

  async list(entity, { after } = {}, each) {
    const args = [this.#core.use(), optionalText(entity, 'the entity'), optionalText(after, 'after')];
    return this.#core.read(() => visitLater(idVisit, args, entryAt, each));
  }
}

const uuid = (fn) => (namespace, name) => {
  checkText(namespace, 'the namespace');
  if (typeof name !== 'string') throw new TypeError('the name is no string');
  return callNow(fn, (f) => [namespace, name, Buffer.byteLength(name), f.out, f.err], (f) => f.string());
};

export const uuidV5 = uuid(v5);
export const uuidV8 = uuid(v8);
