import { expect, test } from 'vitest';
import { rows, tree } from './limit_form';

// What the API shows, and what it is given back where nobody touched it.
test.each([
  [{}],
  [{ spend: { month: '100 USD' } }],
  [{ total_tokens: { day: '2000000', '5h': '500000 soft' } }],
  [{ concurrency: '5' }],
  [{ requests: { minute: '20' }, models: { 'gpt-5.4': { spend: { day: '5 USD clamp' } } } }],
])('limits come back as they were: %j', (limits) => {
  expect(tree(rows(limits))).toEqual(limits);
});

test('numbers are read like texts, and a row without an amount is none', () => {
  expect(rows({ requests: { minute: 20 } })).toEqual([
    { metric: 'requests', window: 'minute', amount: '20', model: '', words: '' },
  ]);
  expect(tree([{ metric: 'spend', window: 'day', amount: ' ', model: '', words: '' }])).toEqual({});
});
