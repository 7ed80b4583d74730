import { expect, test } from 'vitest';
import { type Changeable, changedBy, measureOf, type Patch, patchOf, shortened, shownOf } from './changeable';

const DAY = 86_400_000;

function setting(name: Changeable['name'], part: Partial<Changeable> = {}): Changeable {
  const unit = name.endsWith('_ms') ? 'ms' : name.endsWith('_ppm') ? 'ppm' : null;
  return {
    name,
    file_key: name,
    kind: 'number',
    unit,
    min: 0,
    max: 100,
    words: null,
    default: 2,
    value: 2,
    source: 'default',
    fixed_by: null,
    unused: null,
    ...part,
  };
}

test.each([
  ['routing.cooldown_ms', 'seconds', 1_000],
  ['retention.records_ms', 'days', DAY],
  ['auth.session.idle_ms', 'minutes', 60_000],
  ['currencies.cny_per_usd_ppm', 'cny', 1_000_000],
  ['routing.retries', '', 1],
] as const)('%s is given in %s', (name, word, of) => {
  expect(measureOf(setting(name))).toEqual({ word, of });
});

test('a form begins with what somebody says, and empty is the default', () => {
  const all = [
    setting('routing.retries'),
    setting('routing.cooldown_ms', { value: 9_000, source: 'database' }),
    setting('currencies.cny_per_usd_ppm', { value: 7_120_000, source: 'file' }),
    setting('compat.litellm', { kind: 'word', value: '1.80', source: 'database' }),
  ];
  expect(shownOf(all)).toEqual({
    'routing.retries': undefined,
    'routing.cooldown_ms': 9,
    'currencies.cny_per_usd_ppm': 7.12,
    'compat.litellm': '1.80',
  });
});

const registration = { email_domains: ['a.example'], organization: 'default', group: null, role: 'user' };

test.each<[string, Record<string, unknown>, object]>([
  ['nothing', { 'routing.retries': undefined, 'routing.cooldown_ms': 9 }, {}],
  [
    'a number in its own unit',
    { 'routing.retries': 5, 'routing.cooldown_ms': 0.5 },
    { 'routing.retries': 5, 'routing.cooldown_ms': 500 },
  ],
  ['what is emptied is taken back', { 'routing.cooldown_ms': null }, { 'routing.cooldown_ms': null }],
  [
    'a rate',
    { 'currencies.cny_per_usd_ppm': 7.12, 'routing.cooldown_ms': 9 },
    { 'currencies.cny_per_usd_ppm': 7_120_000 },
  ],
  ['what the file says', { 'routing.max_attempts': 9, 'routing.cooldown_ms': 9 }, {}],
  [
    'who may register',
    {
      'auth.registration': { email_domains: ['@A.example', ' '], organization: undefined },
      'routing.cooldown_ms': 9,
    },
    { 'auth.registration': registration },
  ],
  [
    'that nobody may',
    { 'auth.registration': { email_domains: [], group: 'g' }, 'routing.cooldown_ms': 9 },
    {},
  ],
])('a change sends %s', (_, values, want) => {
  const all = [
    setting('routing.retries'),
    setting('routing.max_attempts', { source: 'file' }),
    setting('routing.cooldown_ms', { value: 9_000, source: 'database' }),
    setting('currencies.cny_per_usd_ppm', { default: null, value: null }),
    setting('auth.registration', { kind: 'registration', default: null, value: null }),
  ];
  expect(patchOf(all, values)).toEqual(want);
});

test('a change is seen before it is answered', () => {
  const held = {
    etag: '1-0',
    changeable: [
      setting('routing.retries'),
      setting('routing.cooldown_ms', { value: 9, source: 'database' }),
    ],
  };
  const seen = changedBy(held, { 'routing.retries': 5, 'routing.cooldown_ms': null });
  expect(seen.changeable.map((it) => [it.value, it.source])).toEqual([
    [5, 'database'],
    [2, 'default'],
  ]);
  expect(held.changeable[0]?.value).toBe(2);
});

test.each<[Patch, number]>([
  [{ 'retention.records_ms': 9 * DAY }, 1],
  [{ 'retention.records_ms': 11 * DAY }, 0],
  [{ 'retention.records_ms': null }, 0],
  [{ 'retention.daily_sums_ms': 90 * DAY }, 1],
  [{ 'routing.cooldown_ms': 1 }, 0],
])('%j keeps less than before: %i', (patch, count) => {
  const all = [
    setting('retention.records_ms', { default: null, value: 10 * DAY, source: 'database' }),
    setting('retention.daily_sums_ms', { default: null, value: null }),
    setting('routing.cooldown_ms', { value: 30 }),
  ];
  expect(shortened(all, patch)).toHaveLength(count);
});
