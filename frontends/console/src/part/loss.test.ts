import type { TFunction } from 'i18next';
import { beforeAll, expect, test } from 'vitest';
import en from '../word/en.json';
import words from '../word/server.zh.json';
import zh from '../word/zh.json';
import { lossIn } from './loss';
import { chineseOf, learn } from './said';

beforeAll(() => learn({ ...words.says, ...words.beside }));

const of = (texts: typeof en | typeof zh) =>
  ((key: string) => {
    const at = (tree: unknown, name: string) => (tree as Record<string, unknown>)[name];
    return key.split('.').reduce<unknown>(at, texts);
  }) as TFunction;

test.each([
  [
    'dropped messages[1].name: the target has no names of speakers',
    '已略去 messages[1].name：目标没有发言者名称',
  ],
  [
    'approximated tool_choice: the target has no such choice: `auto`',
    '已近似 tool_choice：目标没有此选项：改用 `auto`',
  ],
  ['dropped zork: this channel leaves it out', '已略去 zork：此渠道不发送该项'],
  [
    'dropped fallbacks[0].messages: the gateway takes no notice of it',
    '已略去 fallbacks[0].messages：网关不理会该项',
  ],
  // Callers name what is in `metadata`.
  [
    'dropped metadata.a: b: the target takes 16 texts of 512 characters, under names of 64',
    '已略去 metadata.a: b：目标接受 16 条各 512 个字符的文本，名称至多 64 个字符',
  ],
  // A long one is cut in the record.
  ['dropped tools[0]: only tools that the cal', '已略去 tools[0]：only tools that the cal'],
  ['and 24 more', '另有 24 项'],
])('%s', (loss, chinese) => {
  expect(lossIn(of(zh), (it) => chineseOf(it) ?? it, loss)).toBe(chinese);
  expect(lossIn(of(en), (it) => it, loss)).toBe(loss);
});
