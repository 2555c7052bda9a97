// Compiled, never run: the types say what the package does.

import { OpenFeature } from '@openfeature/server-sdk';
import { Client, Context, Double, FlagverError, MistakeError, open } from 'flagver';
import type { Detail, Side, Transaction, Version } from 'flagver';
import { FlagverProvider } from 'flagver/openfeature';

const client: Client = await open('sqlite:app.db', { pollMs: 100, guardian: { id: 'guard', roles: ['oncall'] } });
const user = new Context({ targetingKey: 'u', since: new Date(), tags: ['a', { b: null }], n: 1n, d: new Double(3) });

const on: boolean = client.bool('f', user, false);
const text: string = client.string('t', { country: 'DE' }, 'x');
const perhaps: string | null = client.string('t', null, null);
const count: number | bigint = client.int('n');
const tree: { a: number } = client.json('j', undefined, { a: 1 });
const detail: Detail<boolean> = client.bind('f').boolDetail(user);
const variant: string | null = detail.variant;

const version: Version = await client.transaction('alice', async (txn: Transaction) => {
  const no: number = await txn.flags.ramp('f', 25, { note: 'a quarter', expect: 'none' });
  await txn.items.decide('p', 's', no, ['k'], 'approved');
  return txn.versions.create('p', 's', { any: ['thing'] }, 'why');
});
const lines: string = await client.versions.diff('p', 's', 1, version.no);
const walked: number = await client.versions.history('p', 's', {}, ({ no }) => no < 3);

const side: Side = { read: (key) => key, write: () => undefined };
const route = await client.route('m', { old: side, new: side, compare: (a, b) => a.equals(b) });
const value: Buffer | null = (await route.read('k', { context: user })).value;
await OpenFeature.setProviderAndWait(new FlagverProvider(client));
await OpenFeature.setProviderAndWait(new FlagverProvider('memory:', { background: false }));

try {
  await route.close();
} catch (error) {
  if (error instanceof MistakeError || error instanceof FlagverError) console.log(error.code, error.line);
}

// @ts-expect-error a default of another type
client.bool('f', user, 'no');
// @ts-expect-error no function is an attribute
client.bool('f', { f: () => 1 });
// @ts-expect-error no such option
await open('memory:', { backgruond: true });
// @ts-expect-error a client is opened, not made
new Client();
// @ts-expect-error no such state
await client.versions.list(null, { states: 'done' });
// @ts-expect-error a side is synchronous
const late: Side = { read: async (key: string) => key, write: () => undefined };

export { on, text, perhaps, count, tree, variant, lines, walked, value, late };
