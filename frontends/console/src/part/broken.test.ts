import { expect, test } from 'vitest';
import { blockAsked, channelAsked, type How, lostModels, onlyThere } from './broken';

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

test.each<[string, string[], string[], string[]]>([
  ['a', ['small'], ['large'], []],
  ['a', ['large'], [], []],
  ['a', ['small', 'large'], [], []],
  ['c', [], [], []],
  ['g', [], [], ['most']],
  ['i', ['vendor/x'], [], []],
  // Its own wildcard goes on, or somebody else's.
  ['i', ['vendor/*'], [], []],
])('where %s keeps %j, nobody serves %j, and only some %j', (id, kept, whole, partly) => {
  expect(lostModels(ALL, id, kept)).toEqual({ whole, partly });
});

test('what comes in the same step serves what goes', () => {
  const one = { id: 'z', enabled: true, groups: [], models: [{ group: 'gpt-4o' }] };
  expect(lostModels([one], 'z', ['gpt-*'])).toEqual({ whole: [], partly: [] });
  expect(lostModels([one], 'z', ['o3'])).toEqual({ whole: ['gpt-4o'], partly: [] });
});

test('whoever a channel is no longer for loses what nobody else serves them', () => {
  const [one, two] = [
    channel('z', ['a', 'b'], { groups: ['g1', 'g2'] }),
    channel('y', ['a'], { groups: ['g2'] }),
  ];
  expect(lostModels([one, two], 'z', ['a', 'b'], ['g1'])).toEqual({ whole: [], partly: ['b'] });
  expect(lostModels([one, two], 'z', ['a', 'b'], [])).toEqual({ whole: [], partly: [] });
  expect(lostModels([channel('z', ['a'])], 'z', ['a'], ['g1'])).toEqual({ whole: [], partly: ['a'] });
  expect(lostModels([one, two], 'z', ['a'], ['g1'])).toEqual({ whole: ['b'], partly: [] });
});

const t = ((key: string, more?: object) => `${key} ${JSON.stringify(more ?? {})}`) as unknown as Parameters<
  typeof channelAsked
>[0];

test.each([
  ['what is off already', { enabled: false }, { enabled: false, models: [] }, undefined],
  ['what stays as it is', {}, {}, undefined],
  ['a model that comes', {}, { models: [{ group: 'x' }, { group: 'y' }, { group: 'z' }] }, undefined],
  ['a model that goes', {}, { models: [{ group: 'y' }] }, 'channel.takeOutTitle {"models":"x","name":"One"}'],
  ['more groups', { groups: ['g1'] }, { groups: ['g1', 'g2'] }, undefined],
  ['nobody in particular any more', { groups: ['g1'] }, { groups: [] }, undefined],
  ['groups instead of everybody', {}, { groups: ['g1'] }, 'channel.narrowTitle {"name":"One"}'],
  ['a group that goes', { groups: ['g1', 'g2'] }, { groups: ['g2'] }, 'channel.narrowTitle {"name":"One"}'],
  ['all of it', {}, { enabled: false, models: [{ group: 'y' }] }, 'channel.disableTitle {"count":1}'],
])('a form of a channel asks about %s', (_, before, after, title) => {
  const channel = { id: 'one', name: 'One', enabled: true, models: [{ group: 'x' }, { group: 'y' }] };
  expect(channelAsked(t, { ...channel, ...before }, after)?.title).toBe(title);
});

test.each([
  ['nothing yet', undefined, true, false],
  ['blocked', { blocked: true }, true, false],
  ['open', { blocked: false }, true, true],
  ['open and stays so', {}, false, false],
])('a form asks before it blocks what is %s', (_, before, blocked, asks) => {
  expect(blockAsked(t, before, { blocked }, 'it', {}) !== undefined).toBe(asks);
});
