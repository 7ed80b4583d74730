// What the server says, which is English, in Chinese: whole sentences, with places for names and numbers.

import { useCallback } from 'react';
import { useTranslation } from 'react-i18next';

type Rule = { pattern: RegExp; quoted: boolean[]; several: boolean[]; chinese: string };

let told: Record<string, string> = {};
let rules: Rule[] | undefined;

/** Takes the sentences that are known. */
export function learn(says: Record<string, string>) {
  told = Object.fromEntries(Object.entries(says).map(([it, chinese]) => [lines(it), lines(chinese)]));
  rules = undefined;
}

/** Line ends stand as they do in the server's source. */
function lines(text: string): string {
  return text.replaceAll('\\n', '\n');
}

/** What is said, in Chinese; nothing where it isn't known. */
export function chineseOf(text: string): string | undefined {
  return sentence(text, true) ?? named(text) ?? listed(text) ?? joined(text) ?? sentence(text);
}

/** What is said, in the reader's language as far as it is known there. */
export function useTold(): (text: string) => string {
  const { language } = useTranslation().i18n;
  return useCallback((text) => (language === 'zh' && chineseOf(text)) || text, [language]);
}

/** Things one beside the other, each of which is somebody's name or known: all of them, or any. */
function named(text: string): string | undefined {
  const items = text.split(/(, | or )(?=(?:[^`]*`[^`]*`)*[^`]*$)/);
  if (items.length < 3) return undefined;
  const isName = (it: string) => /^`[^`]*`$/.test(it);
  // Names alone are as they are, but for the word between.
  if (!items.includes(' or ') && items.every((it) => it === ', ' || isName(it))) return undefined;
  let line = '';
  for (const [at, it] of items.entries()) {
    const known = at % 2 > 0 || isName(it) ? it : sentence(it, true);
    if (known === undefined) return undefined;
    if (it === ', ') line += '、';
    else if (it !== ' or ') line += known;
    else line += [gap(items[at - 1]), gap(items[at + 1])].join(told.or ?? 'or');
  }
  return line;
}

/** Between Chinese and a name. */
function gap(beside = ''): string {
  return beside.includes('`') ? ' ' : '';
}

/** What is wrong and what to do about it, where each is known by itself. */
function joined(text: string): string | undefined {
  for (let at = text.indexOf('; '); at >= 0; at = text.indexOf('; ', at + 1)) {
    const before = sentence(text.slice(0, at));
    const after = before && chineseOf(text.slice(at + 2));
    if (after) return `${before}；${after}`;
  }
  return undefined;
}

/** One thing a line, as far as they are known. */
function listed(text: string): string | undefined {
  const all = text.split('\n');
  const told = all.length > 1 ? all.map(chineseOf) : [];
  return told.some(Boolean) ? all.map((it, at) => told[at] ?? it).join('\n') : undefined;
}

/** A sentence that is known. A `tight` one is filled in with no further sentence, such as what to do about it, and no further line. */
function sentence(text: string, tight = false): string | undefined {
  const whole = told[text];
  if (whole !== undefined) return whole;
  // What says the most by itself comes first.
  rules ??= Object.entries(told)
    .filter(([it]) => HOLE.test(it))
    .sort(([a], [b]) => b.length - a.length)
    .map(rule);
  for (const { pattern, quoted, several, chinese } of rules) {
    const found = pattern.exec(text)?.slice(1);
    if (!found) continue;
    if (tight && found.some((it, at) => !quoted[at] && !several[at] && /; |\n/.test(outside(it)))) continue;
    // What stands between backticks is somebody's own name for something.
    const filled = found.map((it, at) => (quoted[at] ? it : (chineseOf(it) ?? it)));
    return chinese.replace(/{(\d)}/g, (_, at) => filled[Number(at) - 1] ?? '');
  }
  return undefined;
}

/** The text without what stands between backticks in it. */
function outside(text: string): string {
  return text.replace(/`[^`]*`/g, '');
}

/** Where something is filled in: `{…}` are names in backticks, one or several. */
const HOLE = /\{…?\}/;
const NAMES = '(`[^`]*`(?:(?:, | or )`[^`]*`)*)';

function rule([english, chinese]: [string, string]): Rule {
  const parts = english.split(HOLE);
  const holes = english.match(new RegExp(HOLE, 'g')) ?? [];
  const quoted = parts
    .slice(1)
    .map((after, at) => after.startsWith('`') && Boolean(parts[at]?.endsWith('`')));
  // What begins on a line of its own are things of which each has its line.
  const several = parts.slice(1).map((_, at) => Boolean(parts[at]?.endsWith('\n')));
  const escaped = parts.map((it) => it.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const of = (at: number) => (holes[at] !== '{}' ? NAMES : quoted[at] ? '([^`]*)' : '([\\s\\S]*?)');
  const pattern = escaped.reduce((all, it, at) => `${all}${of(at - 1)}${it}`);
  return { pattern: new RegExp(`^${pattern}$`), quoted, several, chinese };
}
