// Every text in both languages, each that pages ask for, and none beside them.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const problems = [];

function flat(tree, before = '') {
  return Object.entries(tree).flatMap(([name, value]) =>
    typeof value === 'string' ? [[before + name, value]] : flat(value, `${before + name}.`),
  );
}

const read = (language) => new Map(flat(JSON.parse(readFileSync(`src/word/${language}.json`, 'utf8'))));
const [en, zh] = [read('en'), read('zh')];

// Chinese has one form where English tells one from several.
const base = (key) => key.replace(/_(one|other)$/, '');
const names = (words) => new Set([...words.keys()].map(base));
const [english, chinese] = [names(en), names(zh)];
for (const key of english) if (!chinese.has(key)) problems.push(`zh.json lacks \`${key}\``);
for (const key of chinese) if (!english.has(key)) problems.push(`en.json lacks \`${key}\``);

const holes = (text) =>
  [...(text ?? '').matchAll(/{{(\w+)}}/g)]
    .map((it) => it[1])
    .sort()
    .join();
for (const [key, text] of zh) {
  const other = en.get(key) ?? en.get(base(key));
  if (holes(text) !== holes(other))
    problems.push(`\`${key}\` has other parts to fill in in zh.json than in en.json`);
  if (text.trim() === '') problems.push(`\`${key}\` is empty in zh.json`);
}

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((it) =>
    it.isDirectory()
      ? sources(join(folder, it.name))
      : /(?<!\.test)\.tsx?$/.test(it.name)
        ? [join(folder, it.name)]
        : [],
  );
}

const { AuditEvent, Diagnostic } = JSON.parse(readFileSync('openapi.json', 'utf8')).components.schemas;

// Every kind of finding about a file has a name.
const codes = Diagnostic.properties.code.enum;
for (const code of codes) {
  if (!english.has(`system.finding.${code}`)) problems.push(`en.json lacks \`system.finding.${code}\``);
}
for (const key of english) {
  const code = key.startsWith('system.finding.') && key.slice('system.finding.'.length);
  if (code && !codes.includes(code)) problems.push(`\`${key}\` names a finding that there isn't`);
}

// Whatever the trail tells of has a name, and its family one.
const actions = AuditEvent.properties.action.enum;
for (const action of actions) {
  for (const key of [`audit.did.${action}`, `audit.family.${action.split('.')[0]}`]) {
    if (!english.has(key)) problems.push(`en.json lacks \`${key}\``);
  }
}
for (const key of english) {
  const action = key.startsWith('audit.did.') && key.slice('audit.did.'.length);
  if (action && !actions.includes(action))
    problems.push(`\`${key}\` names an action that the server doesn't have`);
}

const asked = new Set();
const beginnings = new Set();
for (const file of sources('src')) {
  const text = readFileSync(file, 'utf8');
  for (const [, key] of text.matchAll(/['"`]([a-z]\w*(?:\.\w+)+)['"`]/gi)) {
    if (english.has(key)) asked.add(key);
  }
  for (const [, key] of text.matchAll(/\bt\(\s*['"]([^'"]+)['"]/g)) {
    if (!english.has(key)) problems.push(`${file}: \`${key}\` is in neither language`);
  }
  for (const [, start] of text.matchAll(/`([a-z]\w*(?:\.\w+)*\.)\$\{/gi)) beginnings.add(start);
  // Words between tags, and in the attributes that people read, belong into the languages' files.
  if (!file.includes('schema.d.ts')) {
    for (const [, words] of text.matchAll(/>\s*([A-Z][a-z]+(?: [a-z]+)+)\s*</g))
      problems.push(`${file}: the text \`${words}\``);
    for (const [, words] of text.matchAll(/\b(?:title|label|placeholder|aria-label)="([A-Za-z]+ [^"]+)"/g)) {
      problems.push(`${file}: the text \`${words}\``);
    }
    for (const [words] of text.replaceAll('中文', '').matchAll(/[\u4e00-\u9fff]+/g))
      problems.push(`${file}: the text \`${words}\``);
  }
}
for (const key of english) {
  if (!asked.has(key) && ![...beginnings].some((it) => key.startsWith(it)))
    problems.push(`nothing asks for \`${key}\``);
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
console.log(`${english.size} texts in both languages`);
