// How fast the binding is: against a bare call of koffi's, against other engines on the same flags, and
// through OpenFeature. Times are the best of many short rounds, in nanoseconds of this process's own
// processor time for one evaluation. What is compared takes turns; a ratio is the median over the rounds.

import { FlagdCore } from '@openfeature/flagd-core';
import { GrowthBook } from '@growthbook/growthbook';
import { OpenFeature } from '@openfeature/server-sdk';
import koffi from 'koffi';
import { Context, open } from './index.mjs';
import { FlagverProvider } from './openfeature.mjs';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 40);
const USER = { targetingKey: 'user42', country: 'DE', version: '2.3.0', plan: 'pro' };

const DEFINITIONS = {
  flags: {
    static: { type: 'boolean' },
    percentage: { type: 'boolean', percentage: 25 },
    rule: {
      type: 'string',
      variants: { a: 'classic', b: 'one-page' },
      default: 'a',
      rules: [{ id: 'eu', if: { attr: 'country', op: 'in', values: ['DE', 'FR'] }, serve: { split: { a: 50, b: 50 } } }],
    },
  },
};

const FLAGD = {
  flags: {
    static: { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'on' },
    percentage: {
      state: 'ENABLED',
      variants: { on: true, off: false },
      defaultVariant: 'off',
      targeting: { fractional: [{ cat: [{ var: '$flagd.flagKey' }, { var: 'targetingKey' }] }, ['on', 25], ['off', 75]] },
    },
    rule: {
      state: 'ENABLED',
      variants: { a: 'classic', b: 'one-page' },
      defaultVariant: 'a',
      targeting: { if: [{ in: [{ var: 'country' }, ['DE', 'FR']] }, { fractional: [['a', 50], ['b', 50]] }, 'a'] },
    },
  },
};

const GROWTHBOOK = {
  static: { defaultValue: true },
  percentage: { defaultValue: false, rules: [{ force: true, coverage: 0.25, hashAttribute: 'targetingKey' }] },
  rule: {
    defaultValue: 'classic',
    rules: [
      {
        condition: { country: { $in: ['DE', 'FR'] } },
        variations: ['classic', 'one-page'],
        weights: [0.5, 0.5],
        hashAttribute: 'targetingKey',
      },
    ],
  },
};

const silent = { error() {}, warn() {}, info() {}, debug() {} };

// ---- measuring ----

let sink = 0;

function used() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

function nanoseconds(run, count) {
  const began = used();
  for (let i = 0; i < count; i++) if (run()) sink++;
  return (used() - began) / count;
}

async function nanosecondsAwaited(run, count) {
  const began = used();
  for (let i = 0; i < count; i++) if (await run()) sink++;
  return (used() - began) / count;
}

/** Times of each, a list; they take turns, so that a busy machine is busy for all of them. */
async function measure(runs, how, count, rounds = ROUNDS) {
  const times = runs.map(() => []);
  for (let i = 0; i < 5; i++) for (const run of runs) await how(run, count); // warm
  for (let round = 0; round < rounds; round++)
    for (let i = 0; i < runs.length; i++) times[i].push(await how(runs[i], count));
  return times;
}

const best = (times) => Math.min(...times);

/** The median of what one took in each round beside the other. */
function ratioOf(times, others) {
  const ratios = times.map((time, i) => time / others[i]).sort((a, b) => a - b);
  return ratios[ratios.length >> 1];
}

// ---- printing ----

const rows = [];
let missed = 0;

function row(what, ours, against, theirs, { faster, slower }) {
  const ratio = faster === undefined ? ratioOf(ours, theirs) : ratioOf(theirs, ours);
  const met = faster === undefined ? ratio <= slower : ratio >= faster;
  const asked = faster === undefined ? `≤ ${slower}` : `≥ ${faster}`;
  if (!met) missed++;
  rows.push([what, best(ours).toFixed(0), `${against} ${best(theirs).toFixed(0)}`, ratio.toFixed(2), asked, met ? 'yes' : 'NO']);
}

function print(head) {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((cells) => cells[i].length)));
  for (const cells of [head, ...rows]) console.log(cells.map((cell, i) => cell.padEnd(widths[i])).join('  ').trimEnd());
}

// ---- what is compared ----

async function engines(client, context) {
  const flagd = new FlagdCore(undefined, silent);
  flagd.setConfigurations(JSON.stringify(FLAGD));
  const growthbook = new GrowthBook({ attributes: USER, features: GROWTHBOOK });
  const [on, percentage, rule] = ['static', 'percentage', 'rule'].map((key) => client.bind(key));

  const cases = [
    ['static', 2, () => on.bool(context, false), () => flagd.resolveBooleanEvaluation('static', false, USER, silent).value, () => growthbook.isOn('static')],
    ['25 %', 4, () => percentage.bool(context, true), () => flagd.resolveBooleanEvaluation('percentage', false, USER, silent).value, () => growthbook.isOn('percentage')],
    ['rule and split', 4, () => rule.string(context, 'x'), () => flagd.resolveStringEvaluation('rule', 'x', USER, silent).value, () => growthbook.getFeatureValue('rule', 'x')],
  ];
  for (const [what, faster, ...runs] of cases) {
    const [ours, theirs, other] = await measure(runs, nanoseconds, 10000);
    row(`${what}, bound`, ours, 'flagd-core', theirs, { faster });
    row(`${what}, bound`, ours, 'growthbook', other, { faster });
  }
}

async function calls(client, context) {
  const strlen = koffi.load('libc.so.6').func('size_t strlen(str)');
  const bound = client.bind('static');
  const [bare, byKey, handle, plain] = await measure(
    [
      () => strlen('report_setup'),
      () => client.bool('static', context, false),
      () => bound.bool(context, false),
      () => client.bool('static', USER, false),
    ],
    nanoseconds,
    50000,
  );
  row('boolean by key', byKey, 'koffi call with a string', bare, { slower: 1.5 });
  row('boolean, bound', handle, 'koffi call with a string', bare, { slower: 1.5 });
  row('boolean, plain object', plain, 'koffi call with a string', bare, { slower: 1.5 });
}

class Nothing {
  runsOn = 'server';
  metadata = { name: 'nothing' };
  async resolveBooleanEvaluation() {
    return { value: true, variant: 'on', reason: 'STATIC', flagMetadata: {} };
  }
  async resolveStringEvaluation() {
    return { value: 'classic', variant: 'a', reason: 'SPLIT', flagMetadata: {} };
  }
}

async function openFeature(client) {
  await OpenFeature.setProviderAndWait('ours', new FlagverProvider(client));
  await OpenFeature.setProviderAndWait('nothing', new Nothing());
  const [ours, nothing] = ['ours', 'nothing'].map((domain) => OpenFeature.getClient(domain));
  const cases = [
    ['static', 'getBooleanValue', 'static', false],
    ['25 %', 'getBooleanValue', 'percentage', false],
    ['rule and split', 'getStringValue', 'rule', 'x'],
  ];
  for (const [what, getter, key, fallback] of cases) {
    const [time, bare] = await measure(
      [() => ours[getter](key, fallback, USER), () => nothing[getter](key, fallback, USER)],
      nanosecondsAwaited,
      400,
      5 * ROUNDS,
    );
    row(`OpenFeature, ${what}`, time, 'provider that does nothing', bare, { slower: 1.1 });
  }
  await OpenFeature.close();
}

const client = await open('definitions:');
client.load(DEFINITIONS);
const context = new Context(USER);
await calls(client, context);
await engines(client, context);
await openFeature(client);
await client.close();
print(['what', 'library', 'compared with', 'ratio', 'asked', 'met']);
process.exitCode = missed ? 1 : 0;
