// Who acts: { id, roles? }, or just the id.

import { checkText, nameOf, pack, struct } from './native.mjs';

export const ACTOR = struct('flagver_actor', { size: 'size_t', id: 'str', roles: 'str *', role_count: 'size_t' });

export function actorOf(actor) {
  if (typeof actor === 'string') actor = { id: actor };
  if (typeof actor !== 'object' || actor === null) throw new TypeError(`an actor is { id, roles }, not ${nameOf(actor)}`);
  const roles = actor.roles ?? [];
  if (!Array.isArray(roles)) throw new TypeError('roles are an array of strings');
  return pack(ACTOR, {
    id: checkText(actor.id, 'the id of an actor'),
    roles: roles.length ? roles.map((role) => checkText(role, 'a role')) : null,
    role_count: roles.length,
  });
}
