import { expect, test } from 'vitest';
import { type Budget, course, limitKey } from './burn_data';

const HOUR = 3_600_000;

function budget(part: Partial<Budget>): Budget {
  return {
    id: 'g',
    name: null,
    organization: null,
    group: null,
    user: null,
    used_ppm: 0,
    scope: 'group',
    metric: 'spend',
    window: 'day',
    mode: 'strict',
    max: 200,
    settled: 50,
    reserved: 0,
    held: 0,
    remaining: 150,
    resets_at: 24 * HOUR,
    starts_at: 0,
    burned: [
      { from: 0, to: 6 * HOUR, used: 20, total: 20 },
      { from: 6 * HOUR, to: 12 * HOUR, used: 30, total: 50 },
    ],
    forecast: { since: 0, per_day: 100, used_at_end: 100, used_at_end_ppm: 500_000, runs_out_at: null },
    ...part,
  };
}

test('a day that is half over is half across, and its forecast goes to the end', () => {
  const drawn = course(budget({}), 12 * HOUR);
  expect(drawn?.used.map((it) => [it.x, Math.round(it.y * 210)])).toEqual([
    [0, 0],
    [0.25, 20],
    [0.5, 50],
    [0.5, 50],
  ]);
  expect(drawn?.ahead.map((it) => [it.x, Math.round(it.y * 210)])).toEqual([
    [0.5, 50],
    [1, 100],
  ]);
  expect(Math.round((drawn?.max ?? 0) * 210)).toBe(200);
});

test('what leads past the limit is in the picture, too', () => {
  const forecast = { since: 0, per_day: 1, used_at_end: 800, used_at_end_ppm: 4_000_000, runs_out_at: HOUR };
  const drawn = course(budget({ forecast }), 12 * HOUR);
  expect(Math.max(...(drawn?.ahead.map((it) => it.y) ?? []))).toBeLessThan(1);
  expect(drawn?.max).toBeCloseTo(200 / 840);
});

test.each([
  ['nothing is known of it', { burned: [] }, null],
  ['what never begins anew leads nowhere', { resets_at: null, starts_at: null }, 0],
  ['what has no forecast neither', { forecast: null }, 0],
])('%s', (_, part, ahead) => {
  const drawn = course(budget(part), 12 * HOUR);
  expect(drawn === null ? null : drawn.ahead.length).toBe(ahead);
});

test('limits are told apart by what they count, how long and of which model', () => {
  const day = { metric: 'spend' as const, window: 'day' as const, model: null };
  expect(limitKey(day)).toBe(limitKey({ ...day, model: undefined }));
  expect(limitKey(day)).not.toBe(limitKey({ ...day, model: 'm' }));
  expect(limitKey(day)).not.toBe(limitKey({ ...day, window: { rolling_ms: 86_400_000 } }));
});
