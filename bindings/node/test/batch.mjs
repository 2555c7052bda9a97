#!/usr/bin/env node
// Answers what `flagver flag eval --batch --definitions FILE [--at TIME]` answers, in its format, by this
// package's own contexts and getters.
//
//     batch.mjs DEFINITIONS [AT]

import { createInterface } from 'node:readline';
import { Double, open } from '../index.mjs';

// ---- reading: JSON in which whole numbers and doubles are told apart, and which knows its own text ----

function parse(text) {
  let at = 0;
  const space = () => {
    while (' \t\n\r'.includes(text[at] ?? 'x')) at++;
  };
  const string = () => {
    const from = at++;
    while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    return JSON.parse(text.slice(from, ++at));
  };
  const number = () => {
    const [digits] = /^-?[0-9.eE+-]+/.exec(text.slice(at));
    at += digits.length;
    if (/[.eE]/.test(digits)) return new Double(Number(digits));
    const whole = Number(digits);
    return Number.isSafeInteger(whole) ? whole : BigInt(digits);
  };
  const list = (end, element) => {
    at++;
    for (space(); text[at] !== end; space()) {
      element();
      space();
      if (text[at] === ',') at++;
    }
    at++;
  };
  const value = () => {
    space();
    switch (text[at]) {
      case '"':
        return string();
      case '[': {
        const array = [];
        list(']', () => array.push(value()));
        return array;
      }
      case '{':
        return object(() => {});
      case 't':
        return (at += 4), true;
      case 'f':
        return (at += 5), false;
      case 'n':
        return (at += 4), null;
      default:
        return number();
    }
  };
  const object = (saw) => {
    const members = {};
    list('}', () => {
      space();
      const name = string();
      space();
      at++;
      space();
      const from = at;
      members[name] = value();
      saw(name, text.slice(from, at));
    });
    return members;
  };

  space();
  const texts = {};
  const members = object((name, source) => (texts[name] = source));
  return { members, texts };
}

// ---- writing ----

/** As few digits as read back the same, in the form of C's %g, and never without a point or an exponent. */
function doubleText(value) {
  if (value === 0) return '0.0';
  const [mantissa, exponent] = value.toExponential().split('e');
  const digits = mantissa.replace(/[-.]/g, '').length;
  const power = Number(exponent);
  if (power < -4 || power >= digits)
    return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  const fixed = value.toFixed(Math.max(digits - 1 - power, 0));
  return fixed.includes('.') ? fixed : `${fixed}.0`;
}

function valueText(client, key, context, detail) {
  if (detail.errorCode !== null) return null;
  switch (detail.type) {
    case 'json':
      return client.bind(key).jsonText(context);
    case 'double':
      return doubleText(detail.value);
    default:
      return typeof detail.value === 'bigint' ? String(detail.value) : JSON.stringify(detail.value);
  }
}

function answer(client, line) {
  const { members, texts } = parse(line);
  const { flag, context, type } = members;
  const detail = client.evaluate(flag, context, type);
  const fields = [`"flag":${JSON.stringify(flag)}`];

  fields.push(`"value":${valueText(client, flag, context, detail) ?? texts.default ?? 'null'}`);
  fields.push(`"variant":${JSON.stringify(detail.variant)}`, `"reason":"${detail.reason}"`);
  if (detail.errorCode) fields.push(`"errorCode":"${detail.errorCode}"`);
  if (detail.rule !== null) fields.push(`"ruleId":${JSON.stringify(detail.rule)}`);
  if (detail.bucket >= 0) fields.push(`"bucket":${detail.bucket}`);
  if (detail.version) fields.push(`"version":${detail.version}`);
  return `{${fields.join(',')}}`;
}

const [definitions, at] = process.argv.slice(2);
const then = at === undefined ? undefined : Date.parse(at);
const client = await open(`file:${definitions}`, { background: false, ...(at === undefined ? {} : { clock: () => then }) });
const lines = [];
let status = 0;
let number = 0;
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  number++;
  try {
    lines.push(answer(client, line));
  } catch (error) {
    lines.push(JSON.stringify({ line: number, error: error.message }));
    status = 6;
  }
}
process.stdout.write(lines.map((line) => `${line}\n`).join(''));
await client.close();
process.exitCode = status;
