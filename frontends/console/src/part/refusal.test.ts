import { expect, test } from 'vitest';
import { refusal } from './refusal';
import { learn } from './said';

learn({ 'channel `{}` is declared in the file': '渠道 `{1}` 在文件中声明' });
const name = (id: string) => (id === 'c1' ? 'First channel' : id);
const same = { id: 'c0', outcome: 'same' as const };
const refused = (id: string, message: string | null) => ({ id, outcome: 'refused' as const, message });

test.each([
  [
    'en',
    [same, refused('c1', 'channel `c1` is declared in the file')],
    'First channel: channel `c1` is declared in the file',
  ],
  [
    'zh',
    [same, refused('c1', 'channel `c1` is declared in the file')],
    'First channel：渠道 `c1` 在文件中声明',
  ],
  ['zh', [refused('c2', 'words of another server')], 'c2：words of another server'],
  ['en', [refused('c1', null)], 'First channel: refused'],
  ['en', [same], 'refused'],
])('in %s %j is said as %s', (language, items, want) => {
  expect(refusal(items, language, name, 'refused')).toBe(want);
});
