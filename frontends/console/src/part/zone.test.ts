import { expect, test } from 'vitest';
import { instant, wall } from './zone';

const AT = Date.UTC(2026, 2, 1, 23, 30, 12, 345);

test.each([
  ['Asia/Shanghai', '2026-03-02 07:30'],
  ['America/New_York', '2026-03-01 18:30'],
  ['UTC', '2026-03-01 23:30'],
])('what clocks show in %s, and back', (zone, shown) => {
  const there = wall(AT, zone);
  expect(there.format('YYYY-MM-DD HH:mm')).toBe(shown);
  expect(instant(there, zone).valueOf()).toBe(AT);
});

test("without a zone it is the browser's", () => {
  expect(instant(wall(AT, ''), '').valueOf()).toBe(AT);
});
