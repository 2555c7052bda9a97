// Evaluates in every way, and fails when the process has grown. Prints how large it was.
//
//     node --expose-gc memory.mjs COUNT

import { Context, open } from '../index.mjs';

const count = Number(process.argv[2]);
const client = await open('definitions:');
client.load({
  flags: {
    on: { type: 'boolean' },
    share: { type: 'boolean', percentage: 25, metadata: { owner: 'x' } },
    text: {
      type: 'string',
      variants: { a: 'classic', b: 'one-page' },
      default: 'a',
      rules: [{ id: 'eu', if: { attr: 'tags', op: 'eq', value: 'DE' }, serve: { split: { a: 1, b: 1 } } }],
    },
    tree: { type: 'json', variants: { a: { x: [1, 2, 3] } }, default: 'a' },
  },
});
const [on, share, text] = ['on', 'share', 'text'].map((key) => client.bind(key));
const context = new Context({ targetingKey: 'user', tags: ['DE'] });

function evaluate(times) {
  for (let i = 0; i < times; i += 10) {
    const user = { targetingKey: `user${i % 1000}`, tags: ['DE', 'x'], at: new Date(i), n: i };
    on.bool(user);
    share.bool(user);
    text.string(user, 'd');
    share.bool(context);
    text.stringDetail(context, 'd');
    client.boolDetail('share', user);
    client.json('tree', user);
    client.bool('gone', context);
    client.evaluate('text', user);
    new Context(user);
  }
}

async function resident() {
  for (let i = 0; i < 5; i++) {
    global.gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return Math.round(process.memoryUsage().rss / 1024);
}

// What is made lazily is made by then, and the heap is as large as it gets.
const step = count / 10;
for (let i = 0; i < 10; i++) {
  evaluate(step);
  await resident();
}
const before = await resident();
for (let i = 0; i < 10; i++) {
  evaluate(step);
  await resident();
}
const after = await resident();
console.log(`RSS ${before} KiB after ${count} evaluations, ${after} KiB after ${2 * count}`);
await client.close();
// Room for the garbage collector's own moods; a leak of one byte in each evaluation would be more.
process.exitCode = after - before > Math.max(8192, count / 1024) ? 1 : 0;
