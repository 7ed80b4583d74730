// What the server says, which is English, in Chinese: whole sentences, with places for names and numbers.

import { useCallback } from 'react';
import { useTranslation } from 'react-i18next';

type Rule = { pattern: RegExp; places: boolean[]; chinese: string };

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
  return sentence(text) ?? named(text) ?? joined(text) ?? listed(text);
}

/** What is said, in the reader's language as far as it is known there. */
export function useTold(): (text: string) => string {
  const { language } = useTranslation().i18n;
  return useCallback((text) => (language === 'zh' && chineseOf(text)) || text, [language]);
}

/** Names, of which one is meant. */
function named(text: string): string | undefined {
  if (!/^`[^`]+`(?:, `[^`]+`)* or `[^`]+`$/.test(text)) return undefined;
  return text.replaceAll('`, `', '`、`').replace('` or `', `\` ${told.or ?? 'or'} \``);
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

function sentence(text: string): string | undefined {
  const whole = told[text];
  if (whole !== undefined) return whole;
  // What says the most by itself comes first.
  rules ??= Object.entries(told)
    .filter(([it]) => it.includes('{}'))
    .sort(([a], [b]) => b.length - a.length)
    .map(rule);
  for (const { pattern, places, chinese } of rules) {
    const found = pattern.exec(text);
    if (!found) continue;
    const filled = found
      .slice(1)
      // What stands between backticks is somebody's own name for something.
      .map((it, at) => (places[at] ? it : (chineseOf(it) ?? it)));
    return chinese.replace(/{(\d)}/g, (_, at) => filled[Number(at) - 1] ?? '');
  }
  return undefined;
}

function rule([english, chinese]: [string, string]): Rule {
  const parts = english.split('{}');
  const places = parts
    .slice(1)
    .map((after, at) => after.startsWith('`') && Boolean(parts[at]?.endsWith('`')));
  const escaped = parts.map((it) => it.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return { pattern: new RegExp(`^${escaped.join('([\\s\\S]*?)')}$`), places, chinese };
}
