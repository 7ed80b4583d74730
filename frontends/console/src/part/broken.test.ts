import { expect, test } from 'vitest';
import { onlyThere } from './broken';

const channel = (id: string, models: string[], enabled = true) => ({
  id,
  enabled,
  models: models.map((group) => ({ group, upstream: group })),
});
const ALL = [
  channel('a', ['small', 'large']),
  channel('b', ['small']),
  channel('c', ['large'], false),
  channel('d', ['own']),
];

test.each([
  [['a'], ['large']],
  [['b'], []],
  [
    ['a', 'b'],
    ['small', 'large'],
  ],
  // What is off serves nothing already.
  [['c'], []],
  [['d'], ['own']],
  [[], []],
])('without %j nobody serves %j', (gone, lost) => {
  expect(onlyThere(ALL as Parameters<typeof onlyThere>[0], gone)).toEqual(lost);
});
