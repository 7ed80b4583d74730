import { expect, test } from 'vitest';
import { localTimes } from './time';

test.each([
  ['the limit begins anew at 2026-12-01T00:00:00Z', 'the limit begins anew at 1796083200000'],
  ['from 2026-11-30T10:00:00.5Z to 2026-11-30T11:00Z', 'from 1796032800500 to 1796036400000'],
  ['2026-13-45T00:00:00Z and 2026-12-01 are left', '2026-13-45T00:00:00Z and 2026-12-01 are left'],
])('%s', (words, said) => {
  expect(localTimes(words, String)).toBe(said);
});
