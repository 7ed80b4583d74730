import { expect, test } from 'vitest';
import { latencyWords } from './latency';

const format = { duration: (ms: number) => `${ms} ms`, ago: (at: number) => `at ${at}` };

test.each([
  [null, ''],
  [{ first_content: null, whole: null }, ''],
  [{ first_content: { us: 700_000, at: 1 }, whole: null }, '700 ms (at 1)'],
  [{ first_content: { us: 700_000, at: 1 }, whole: { us: 9_000_000, at: 2 } }, '9000 ms (at 2)'],
  [{ first_content: { us: 700_000, at: 3 }, whole: { us: 9_000_000, at: 2 } }, '700 ms (at 3)'],
])('a latency %j is told as it was learnt last: %s', (latency, words) => {
  expect(latencyWords(format, latency)).toBe(words);
});
