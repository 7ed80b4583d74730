// Whole messages, as the server composes them: its own tests assert that the table has them as they are.

import type { TFunction } from 'i18next';
import { beforeAll, expect, test } from 'vitest';
import table from '../../../../tests/data/console/messages.json';
import words from '../word/server.zh.json';
import zh from '../word/zh.json';
import { lossIn } from './loss';
import { chineseOf, learn } from './said';

beforeAll(() => learn({ ...words.says, ...words.beside }));

/** What is called so in Chinese, too. */
const KNOWN = /\b(?:Token|USD|JSON|schema|OpenAI|POST|given)\b/g;
/** Names as callers and scripts write them: formats, paths, fields, times, texts of one's own, lists of channels. */
const NAMES = /`[^`]*`|"[^"]*"|\[[^\]]*\]|\/[\w/]+|\w*_\w*|\d{4}-\d\d-\d\dT[\d:.]+Z/g;

const t = ((key: string) =>
  key.split('.').reduce<unknown>((tree, at) => (tree as Record<string, unknown>)[at], zh)) as TFunction;

test.each(Object.entries(table).flatMap(([file, all]) => all.map((message) => [file, message])))(
  '%s: %s',
  (_, message) => {
    const chinese = lossIn(t, (it) => chineseOf(it) ?? it, message);
    const left = message.startsWith('dropped') ? chinese.replace(/ .*?：/, '') : chinese;
    expect(left.replace(NAMES, '').replace(KNOWN, '')).not.toMatch(/[A-Za-z]/);
  },
);
