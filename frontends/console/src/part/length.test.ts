import { expect, test } from 'vitest';
import { lengthMs } from './length';

test.each([
  ['90s', 90_000],
  ['24h', 86_400_000],
  [' 7d ', 604_800_000],
  ['0h', undefined],
  ['', undefined],
  ['a while', undefined],
])('%s is %s ms', (text, ms) => {
  expect(lengthMs(text)).toBe(ms);
});
