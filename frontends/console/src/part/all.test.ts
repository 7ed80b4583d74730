import { expect, test } from 'vitest';
import { allOf } from './all';

test.each([0, 1, 1000, 1001, 2500])('all of %j are read', async (count) => {
  const there = Array.from({ length: count }, (_, index) => index);
  const asked: string[] = [];
  const found = await allOf(async ({ limit, offset }) => {
    asked.push(offset);
    return { items: there.slice(Number(offset), Number(offset) + Number(limit)), total: count };
  });
  expect(found).toEqual({ items: there, total: count });
  expect(asked.length).toBe(Math.max(1, Math.ceil(count / 1000)));
});

test('a list that says more than it has comes to an end', async () => {
  expect(await allOf(async () => ({ items: [], total: 5 }))).toEqual({ items: [], total: 0 });
});
