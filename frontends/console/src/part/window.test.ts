import { expect, test } from 'vitest';
import { shown } from './window';

test.each([
  // how many rows, pixels above, pixels in sight → from, to
  [0, 0, 500, 0, 0],
  [10, 0, 500, 0, 10],
  [1000, 0, 500, 0, 32],
  [1000, 43, 500, 0, 32],
  [1000, 4_400, 500, 80, 128],
  [1000, 4_444, 500, 80, 136],
  [1000, 43_500, 500, 968, 1000],
  // The list became shorter than where one was.
  [50, 4_400, 500, 34, 50],
  [100_000, 4_399_500, 500, 99_968, 100_000],
])('of %i rows, %i pixels down, %i high', (count, top, seen, from, to) => {
  expect(shown(count, 44, top, seen)).toEqual({ from, to });
});

test('what is in sight is always among them', () => {
  for (let top = 0; top < 40_000; top += 7) {
    const { from, to } = shown(1_000, 44, top, 600);
    expect(from * 44).toBeLessThanOrEqual(top);
    expect(to * 44).toBeGreaterThanOrEqual(Math.min(44_000, top + 600));
    expect(to - from).toBeLessThan(70);
  }
});
