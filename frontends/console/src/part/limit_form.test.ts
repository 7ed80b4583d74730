import { expect, test } from 'vitest';
import { fault, type LimitRow, ownRows, plainAmount, refusesAll, rows, tree } from './limit_form';

const row = (part: Partial<LimitRow>): LimitRow => ({
  metric: 'spend',
  window: 'day',
  amount: '5',
  model: '',
  words: '',
  ...part,
});

// What the API shows, and what it is given back where nobody touched it.
test.each([
  [{}],
  [{ spend: { month: '100 USD' } }],
  [{ total_tokens: { day: '2000000', '5h': '500000 soft' } }],
  [{ concurrency: '5' }],
  [{ spend: { lifetime: ['10 USD', '5 USD soft'] }, concurrency: ['5', '3 soft'] }],
  [{ requests: { minute: '20' }, models: { 'gpt-5.4': { spend: { day: '5 USD clamp' } } } }],
])('limits come back as they were: %j', (limits) => {
  expect(tree(rows(limits))).toEqual(limits);
  expect(fault(rows(limits))).toBeNull();
});

// What is sent back is a member's own from then on: what the group gives isn't.
test.each([
  [
    { spend: { day: '5 USD' }, requests: { minute: 20 } },
    { spend: { day: '5 USD' } },
    { requests: { minute: '20' } },
  ],
  [{ spend: { day: '5 USD' } }, { spend: { day: '5 USD' } }, {}],
  [{ spend: { day: '5 USD' } }, {}, { spend: { day: '5 USD' } }],
  [
    { requests: { day: 9 }, models: { a: { requests: { day: 9 } } } },
    { requests: { day: 9 } },
    { models: { a: { requests: { day: '9' } } } },
  ],
  [
    { spend: { month: ['100 USD', '80 USD soft'] } },
    { spend: { month: '80 USD soft' } },
    { spend: { month: '100 USD' } },
  ],
])('of %j, of which the group gives %j, a member has %j', (limits, given, own) => {
  expect(tree(ownRows(limits, given))).toEqual(own);
});

test('numbers are read like texts', () => {
  expect(rows({ requests: { minute: 20 } })).toEqual([
    { metric: 'requests', window: 'minute', amount: '20', model: '', words: '' },
  ]);
});

test.each([
  [[row({ amount: ' ' })], 'limit.needsAmount'],
  [[row({ amount: 'many' })], 'limit.notAmount'],
  [[row({ amount: '1,00' })], 'limit.notAmount'],
  [[row({ amount: '-5' })], 'limit.notAmount'],
  [[row({}), row({ amount: '7' })], 'limit.twice'],
  [
    [row({ metric: 'concurrency', window: 'day' }), row({ metric: 'concurrency', window: 'month' })],
    'limit.twice',
  ],
  [[row({ words: 'soft' }), row({ amount: '7', words: 'soft' })], 'limit.twice'],
  [[row({}), row({ amount: '3', words: 'soft' })], undefined],
  [[row({}), row({ model: 'm' }), row({ window: 'month' }), row({ metric: 'requests' })], undefined],
  [[row({ amount: '1,000' }), row({ metric: 'requests', amount: '1.5M' })], undefined],
])('what is wrong with %j is said: %s', (all, text) => {
  expect(fault(all)?.text).toBe(text);
});

test.each([
  ['1,000', '1000'],
  ['1,234,567.5', '1234567.5'],
  ['2M', '2M'],
  ['1,00', '1,00'],
  [' 7 ', '7'],
])('%s is %s', (text, plain) => {
  expect(plainAmount(text)).toBe(plain);
  if (plain === '1000') expect(tree([row({ amount: text })])).toEqual({ spend: { day: '1000 USD' } });
});

test('a limit of nothing is told from others', () => {
  expect(refusesAll([row({ amount: '0' })])).toBe(true);
  expect(refusesAll([row({ amount: '0.5' }), row({ amount: '10' })])).toBe(false);
});
