import { expect, test } from 'vitest';
import { settingsOf, unitOf } from './setting';

test('what stands in another stands by its path', () => {
  const settings = { port: 4000, compat: { newapi: false, litellm: null }, retries_by: {}, proxies: ['a'] };
  expect(settingsOf(settings)).toEqual([
    { path: 'port', value: 4000 },
    { path: 'compat.newapi', value: false },
    { path: 'compat.litellm', value: null },
    { path: 'retries_by', value: {} },
    { path: 'proxies', value: ['a'] },
  ]);
});

test.each([
  ['timeouts.connect_ms', 'time'],
  ['body_limit_bytes', 'bytes'],
  ['responses.background_bytes_per_owner', 'bytes'],
  // The longest pause between two bytes is a time.
  ['timeouts.between_bytes_ms', 'time'],
  ['failure_min_percent', 'percent'],
  ['default_output', 'tokens'],
  ['retries', 'plain'],
])('%s counts %s', (path, unit) => {
  expect(unitOf(path)).toBe(unit);
});
