// Every sentence that the management service says, every finding about a file or a policy, why a call is refused, and what a translation of one
// loses has its Chinese, and none is kept that nobody says any more. `beside` is what no text here spells: it is put together from parts, or the scripts' language says it.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const service = ['../gateway/src/admin.rs', '../gateway/src/admin'];
const configuration = ['../../core/config/src'];
/** What findings quote. */
const quoted = ['edit.rs', 'tenant.rs', 'tenant/route.rs', 'guardrail/finder.rs'].map(
  (it) => `../../core/src/${it}`,
);
/** What the manual says of settings, and what is said of price lists to whoever runs a command. */
const elsewhere = /\/(native\/(manual|schema|section\b.*)|price_file\b.*)\.rs$/;
const policies = ['../../policy/src', '../gateway/src/script/watch.rs'];
const refusals = ['../../core/src/decision.rs', '../gateway/src/guardrail.rs', '../gateway/src/guardrail'];
/** Why a channel can't be used, what a trial of it comes to, and what of a call isn't sent there. */
const channels = [
  'secret.rs',
  'upstream.rs',
  'upstream/target.rs',
  'prepare.rs',
  'pass/metered.rs',
  'trial.rs',
].map((it) => `../gateway/src/${it}`);
const translations = '../../core/wire/src';
const routes = ['../server/src/routes/native', '../server/src/ask.rs', '../server/src/body.rs'];

const LITERAL = String.raw`"((?:[^"\\]|\\[\s\S])*)"`;

function sources(at) {
  if (!statSync(at).isDirectory()) return [at];
  return readdirSync(at)
    .filter((it) => it !== 'tests' && it !== 'tests.rs')
    .flatMap((it) => sources(join(at, it)))
    .filter((it) => it.endsWith('.rs'));
}

function codeOf(file) {
  const [code = ''] = readFileSync(file, 'utf8').split('#[cfg(test)]\nmod tests');
  return code.replace(/^\s*\/\/.*$/gm, '');
}

/** Texts of three words or more that begin as sentences of errors do; what is filled in is `{}`. */
function sentences(files, take = codeOf) {
  const found = new Map();
  for (const file of files) {
    for (const [, text] of take(file).matchAll(new RegExp(LITERAL, 'g'))) {
      const said = text
        .replace(/\\\n\s*/g, '')
        .replaceAll('\\"', '"')
        .replaceAll('\\\\', '\\')
        .replace(/^; /, '')
        .replace(/\{\{|\}\}/g, (it) => (it === '{{' ? '\u0001' : '\u0002'))
        .replace(/\{[^{}]*\}/g, '{}')
        .replaceAll('\u0001', '{')
        .replaceAll('\u0002', '}');
      if (
        /^(?:[a-z`"{0-9]|New API|TLS|LiteLLM|OpenAI|Anthropic|Gemini)/.test(said) &&
        said.split(' ').length >= 3
      )
        found.set(said, file);
    }
  }
  return found;
}

/** Why something is lost stands in the call that notes it, or where what that call names gets its value. */
function losses(files) {
  const text = LITERAL.replace('((', '(?:(');
  let inside = `(?:[^()"]|${text})*`;
  for (let depth = 0; depth < 4; depth++) inside = `(?:[^()"]|${text}|\\(${inside}\\))*`;
  const noted = new RegExp(`\\b(?:dropped|approximated)\\(${inside}\\)`, 'g');
  const calls = (file) => codeOf(file).match(noted) ?? [];
  const names = files.flatMap(calls).flatMap((it) => /(\w+)(?:\([^()]*\))?,?\s*\)$/.exec(it)?.[1] ?? []);
  const named = [...new Set(names), 'beside_search'].join('|');
  const given = new RegExp(
    `\\b(?:let|const) (?:${named})\\b[^;]*;|\\bfn (?:${named})\\([\\s\\S]*?\\n}|for \\(\\w+, why\\) in [^{]*`,
    'g',
  );
  const found = sentences(files, (file) => [...calls(file), ...(codeOf(file).match(given) ?? [])].join('\n'));
  // Nothing is filled in there; what is, is an error.
  return [...found].filter(([it]) => !it.includes('{}'));
}

const { says, beside, unseen } = JSON.parse(readFileSync('src/word/server.zh.json', 'utf8'));
const findings = [...configuration, ...quoted].flatMap(sources).filter((it) => !elsewhere.test(it));
const said = new Map([
  ...sentences([...[...service, ...policies, ...refusals, ...channels].flatMap(sources), ...findings]),
  ...losses(sources(translations)),
]);
const known = new Set([...said.keys(), ...sentences(routes.flatMap(sources)).keys()]);
const problems = [];
// What is wrong may be said apart from what to do about it.
const parts = (text) => text.split('; ');
for (const text of [...known]) for (const part of parts(text)) known.add(part);
for (const [text, file] of said) {
  if (!(text in says) && !unseen.includes(text) && !parts(text).every((it) => it in says))
    problems.push(`${file}: server.zh.json lacks \`${text}\`: add it to \`says\`, or to \`unseen\``);
}
for (const text of [...Object.keys(says), ...unseen]) {
  if (text.split(' ').length >= 3 && !known.has(text))
    problems.push(`server.zh.json: nothing says \`${text}\``);
}
for (const [text, chinese] of [...Object.entries(says), ...Object.entries(beside)]) {
  const holes = text.split(/\{…?\}/).length - 1;
  const used = [...chinese.matchAll(/\{(\d)\}/g)].map((it) => Number(it[1]));
  if (used.some((at) => at < 1 || at > holes))
    problems.push(`server.zh.json: \`${chinese}\` fills in what \`${text}\` hasn't`);
}
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
console.log(`${Object.keys({ ...says, ...beside }).length} sentences of the server in Chinese`);
