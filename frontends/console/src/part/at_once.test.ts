import { expect, test } from 'vitest';
import { patched } from './at_once';

const one = { id: 'a', alias: 'A', blocked: false };
const two = { id: 'b', alias: 'B', blocked: false };

test.each([
  ['the thing itself', one, { ...one, blocked: true }],
  ['another thing', two, two],
  ['a list with it', { items: [two, one], total: 2 }, { items: [two, { ...one, blocked: true }], total: 2 }],
  ['a list without it', { items: [two], total: 1 }, { items: [two], total: 1 }],
  ['names', [['a', 'A']], [['a', 'A']]],
  ['nothing yet', undefined, undefined],
])('%s', (_, held, want) => {
  expect(patched<unknown>(held, ['a'], { blocked: true })).toEqual(want);
});

test('what it was stays as it was, so that it can be taken back', () => {
  const list = { items: [one] };
  patched(list, ['a'], { blocked: true });
  expect(list.items[0]?.blocked).toBe(false);
});
