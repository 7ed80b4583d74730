import { expect, test } from 'vitest';
import { holding } from './finding';

const models = [
  { name: 'ghost', enabled_channels: 1 },
  { name: 'qwen-*', enabled_channels: 2 },
  { name: 'off', enabled_channels: 0 },
];
const lacks = (model: string) => ({
  code: 'unknown_model',
  message: `no channel of this file serves \`${model}\`: \`a\` has nothing to fall back to there`,
});
const empty = {
  code: 'no_models',
  message: 'the file is empty: calls have nowhere to go until channels are created over the API',
};
const other = { code: 'unknown_key', message: 'there is no setting `ghost` here: it has no effect' };
const idle = { code: 'no_models', message: 'the channel `A` lists no models: it serves nothing' };

test.each([
  ['a model that the database serves', lacks('ghost'), false],
  ['one of a pattern', lacks('qwen-max'), false],
  ['one whose channels are off', lacks('off'), true],
  ['one that nobody serves', lacks('a'), true],
  ['an empty file beside channels', empty, false],
  ['a channel without models', idle, true],
  ['anything else', other, true],
])('%s', (_, finding, holds) => {
  expect(holding([finding], models)).toEqual(holds ? [finding] : []);
});

test('an empty file beside nothing holds', () => {
  expect(holding([empty], [])).toEqual([empty]);
});
