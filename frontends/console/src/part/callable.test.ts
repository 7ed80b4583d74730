import { expect, test } from 'vitest';
import { type Bounds, callable, labelsOf, opened } from './callable';

type Model = Parameters<typeof callable>[0][number];
const model = (name: string, more: Partial<Model> = {}): Model => ({
  name,
  alias_of: null,
  enabled_channels: 1,
  groups: null,
  ...more,
});
const ALL = [
  model('aya', { enabled_channels: 0 }),
  model('best', { alias_of: 'claude-opus' }),
  model('claude-haiku'),
  model('claude-opus'),
  model('gpt-5'),
  model('kept', { groups: ['g', 'Research'] }),
  model('own/*'),
];

test.each<[string, string[][], string[], string | undefined]>([
  ['anything', [[], []], [], 'best'],
  ['what begins like that', [['claude-h*'], []], [], 'claude-haiku'],
  ['what it names', [['gpt-5', 'claude-opus'], []], [], 'gpt-5'],
  ['an alias of what it names', [['claude-op*'], []], [], 'best'],
  ['what its group may', [[], ['gpt-*']], [], 'gpt-5'],
  ['what both may', [['gpt-5', 'claude-haiku'], ['claude-*']], [], 'claude-haiku'],
  ['what nobody serves', [['aya']], [], undefined],
  ["what isn't for its group", [['kept']], ['h'], undefined],
  ['what is kept to its group', [['kept']], ['g'], 'kept'],
  ['what is kept to it by name', [['kep*']], ['x', 'Research'], 'kept'],
  ['a name that a wildcard serves', [['own/small']], [], 'own/small'],
  ['a wildcard', [['own/*']], [], undefined],
])('of a key that may ask for %s', (_, lists, labels, want) => {
  expect(callable(ALL, { lists, labels } satisfies Bounds)).toBe(want);
});

test('a list that names an access group asks for what that holds, and never for its name', () => {
  const groups = [
    { id: 'beta', models: ['gpt-5'] },
    { id: 'empty', models: [] },
    { id: 'claude-haiku', models: ['claude-opus'] },
  ];
  const all = [...ALL, model('*')];
  const of = (list: string[]) => callable(all, { lists: [opened(list, groups, all)], labels: [] });
  expect(of(['beta'])).toBe('gpt-5');
  expect(of(['access_group:beta'])).toBe('gpt-5');
  expect(of(['empty'])).toBeUndefined();
  expect(of(['access_group:unknown'])).toBeUndefined();
  expect(of(['claude-haiku'])).toBe('claude-haiku');
});

test.each([
  ['default', ['g', 'Research', 'vip']],
  ['acme', ['g', 'vip']],
])('in the organization %s a group is meant by %j', (organization, labels) => {
  expect(labelsOf({ id: 'g', alias: 'Research', organization, channels_of: ['vip'] })).toEqual(labels);
});
