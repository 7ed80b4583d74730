import { expect, test } from 'vitest';
import { preferenceRows, preferencesOf } from './preference_form';

test.each([[[]], [[{ tag: 'a' }, { channel: 'b' }, { provider: 'c' }]]])('%j is the same again', (all) => {
  expect(preferencesOf(preferenceRows(all))).toEqual(all);
});

test('what is left empty is no preference', () => {
  expect(preferencesOf([{ kind: 'tag' }, { kind: 'channel', name: ' b ' }])).toEqual([{ channel: 'b' }]);
});
