import { expect, test } from 'vitest';
import { type How, onlyThere } from './broken';

type All = Parameters<typeof onlyThere>[0];

const channel = (id: string, models: string[], more: { enabled?: boolean; groups?: string[] } = {}) =>
  ({
    id,
    enabled: true,
    models: models.map((group) => ({ group, upstream: group })),
    ...more,
  }) as All[number];
const ALL = [
  channel('a', ['small', 'large']),
  channel('b', ['small']),
  channel('c', ['large'], { enabled: false }),
  channel('d', ['own']),
  channel('e', ['shared'], { groups: ['g1', 'g2'] }),
  channel('f', ['shared'], { groups: ['g1'] }),
  channel('g', ['most']),
  channel('h', ['most'], { groups: ['g1'] }),
  channel('i', ['vendor/x', 'vendor/*']),
  channel('j', ['ven*']),
];

test.each<[string[], How, string[], string[]]>([
  [['a'], 'off', ['large'], []],
  [['b'], 'off', [], []],
  [['a', 'b'], 'off', ['small', 'large'], []],
  // What is off serves nothing already.
  [['c'], 'off', [], []],
  [['d'], 'off', ['own'], []],
  [[], 'off', [], []],
  // Who else serves it may do so for some alone.
  [['e'], 'off', [], ['shared']],
  [['f'], 'off', [], []],
  [['e', 'f'], 'off', ['shared'], []],
  [['g'], 'off', [], ['most']],
  [['h'], 'off', [], []],
  // A name that is still declared isn't a wildcard's; one that isn't any more is.
  [['i'], 'off', ['vendor/x', 'vendor/*'], []],
  [['i'], 'deleted', [], []],
  [['j'], 'deleted', ['ven*'], []],
])('without %j, %s, nobody serves %j, and only some %j', (gone, how, whole, partly) => {
  expect(onlyThere(ALL, gone, how)).toEqual({ whole, partly });
});
