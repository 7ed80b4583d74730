// Every sentence that the management service says, every finding about a file or a policy, why a call is refused, and what a translation of one
// loses, why a channel can't be used, and what a trial of it comes to has its Chinese, and none is kept that nobody says any more. `beside` is what no text here spells: it is put together from parts, or the scripts' language says it.

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
  'running.rs',
  'secret.rs',
  'upstream.rs',
  'upstream/target.rs',
  'prepare.rs',
  'pass/metered.rs',
  'distinct.rs',
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

/** How far a piece of code goes from `at`, past what is in brackets and texts, until one of `ends` stands at its own depth. */
function until(code, at, ends) {
  let depth = 0;
  for (let i = at; i < code.length; i++) {
    const text = /^(?:"(?:[^"\\]|\\[\s\S])*"|'(?:\\.|[^\\'])')/.exec(code.slice(i, i + 2000));
    if (text) i += text[0].length - 1;
    else if (depth === 0 && ends.includes(code[i])) return i;
    else if ('([{'.includes(code[i])) depth++;
    else if (')]}'.includes(code[i])) depth--;
  }
  return code.length;
}

/** The arguments of a call, or a function's parameters, whose bracket opens before `at`. */
function argumentsAt(code, at) {
  const all = [];
  for (let from = at; ; ) {
    const to = until(code, from, ',)');
    const one = code.slice(from, to).trim();
    if (one) all.push(one);
    if (code[to] !== ',') return all;
    from = to + 1;
  }
}

/**
 * Why something is lost: what stands last in the call that notes it, or where what stands there gets its value. A reason that can't be
 * found is a problem, since its sentence would be looked for by nobody.
 */
function losses(files, problems) {
  const codes = new Map(files.map((file) => [file, codeOf(file)]));
  /** Where it stands, in this file, else in any other. */
  const defined = (pattern, first) => {
    for (const file of [first, ...codes.keys()]) {
      const code = codes.get(file);
      const found = pattern.exec(code);
      if (found) return [{ file, code, at: found.index, past: found.index + found[0].length }];
    }
    return [];
  };
  /** The body of a function that says why. */
  const ofHelper = (name, file) =>
    defined(new RegExp(`\\bfn ${name}\\b[^{;]*-> [^{;]*&'static str[^{;]*`), file).map((it) => ({
      ...it,
      text: it.code.slice(it.past, until(it.code, it.past + 1, '}')),
    }));
  /** What is given for a parameter of the function around `at`, wherever that is called. */
  const ofParameter = (name, file, at) => {
    const code = codes.get(file);
    const around = [...code.slice(0, at).matchAll(/\bfn (\w+)(?:<[^>]*>)?\(/g)].at(-1);
    if (!around) return [];
    const parameters = argumentsAt(code, around.index + around[0].length).filter(
      (it) => !/^&?(?:mut )?self$/.test(it),
    );
    const place = parameters.findIndex((it) => it.startsWith(`${name}:`));
    if (place < 0) return [];
    return [...codes].flatMap(([other, text]) =>
      [...text.matchAll(new RegExp(`(?<!fn )\\b${around[1]}\\(`, 'g'))].map((it) => ({
        file: other,
        at: it.index,
        text: argumentsAt(text, it.index + it[0].length)[place] ?? '',
      })),
    );
  };
  /** The pieces of code that give `name` its value before `at`. */
  const given = (name, file, at) => {
    if (/^[A-Z]/.test(name))
      return defined(new RegExp(`\\bconst ${name}: &(?:'static )?str =`), file).map((it) => ({
        ...it,
        text: it.code.slice(it.past, until(it.code, it.past, ';')),
      }));
    const code = codes.get(file);
    const around = [...code.slice(0, at).matchAll(/\bfn \w+/g)].at(-1)?.index ?? 0;
    const bound = new RegExp(
      `\\blet (?:mut )?${name}\\b[^=;]*=|\\blet Some\\(${name}\\) =|\\b(?:Some|Ok|Err)\\(${name}\\) =>|, ${name}\\) in\\b`,
      'g',
    );
    const it = [...code.slice(0, at).matchAll(bound)].at(-1);
    if (!it || it.index < around) return ofParameter(name, file, at);
    const past = it.index + it[0].length;
    if (it[0].endsWith('=>')) {
      const match = [...code.slice(0, it.index).matchAll(/\bmatch ([^{]*)\{/g)].at(-1);
      return match ? [{ file, at: match.index, text: match[1] }] : [];
    }
    const ends = it[0].startsWith('let') && !it[0].startsWith('let Some') ? ';' : '{';
    return [{ file, at: it.index, text: code.slice(past, until(code, past, ends)) }];
  };
  const said = [];
  const read = (text, file, at, depth = 0) => {
    const literals = text.match(new RegExp(LITERAL, 'g')) ?? [];
    said.push(...literals.map((it) => [file, it]));
    if (depth > 4) return literals.length > 0;
    const bare = text.replace(new RegExp(LITERAL, 'g'), '""');
    const next = [...bare.matchAll(/\b[A-Z][A-Z_]+\b/g)].flatMap(([name]) => given(name, file, at));
    next.push(...[...bare.matchAll(/\b([a-z_]+)\(/g)].flatMap(([, name]) => ofHelper(name, file)));
    const alone = /^[&*]*([a-z_]+)$/.exec(bare.trim());
    if (alone) next.push(...given(alone[1], file, at));
    const all = next.map((it) => read(it.text, it.file, it.at, depth + 1));
    return literals.length > 0 || all.some(Boolean);
  };
  for (const [file, code] of codes) {
    for (const call of code.matchAll(/\b(?:dropped|approximated)\(/g)) {
      if (/\bfn $/.test(code.slice(0, call.index))) continue;
      const why = argumentsAt(code, call.index + call[0].length).at(-1) ?? '';
      if (!read(why, file, call.index))
        problems.push(
          `${file}: nothing here finds what \`${why}\` says of a loss: write it where it is given, or teach this`,
        );
    }
  }
  const found = sentences(new Set(said.map(([file]) => file)), (file) =>
    said
      .filter(([it]) => it === file)
      .map(([, text]) => text)
      .join('\n'),
  );
  // Nothing is filled in there; what is, is an error.
  return [...found].filter(([it]) => !it.includes('{}'));
}

const problems = [];
const { says, beside, unseen } = JSON.parse(readFileSync('src/word/server.zh.json', 'utf8'));
const findings = [...configuration, ...quoted].flatMap(sources).filter((it) => !elsewhere.test(it));
const said = new Map([
  ...sentences([...[...service, ...policies, ...refusals, ...channels].flatMap(sources), ...findings]),
  ...losses(sources(translations), problems),
]);
const known = new Set([...said.keys(), ...sentences(routes.flatMap(sources)).keys()]);
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
