import { expect, test } from 'vitest';
import { fieldOf } from './field';

const NAMES = [
  ['routing.retries'],
  ['alias'],
  ['limits'],
  // A list's first field may come before the list's own.
  ['models', 0, 'group'],
  ['models'],
  ['expires'],
];

test.each([
  ['alias', ['alias']],
  // The API's own name has dots in it.
  ['routing.retries', ['routing.retries']],
  ['limits', ['limits']],
  ['limits.spend.day', ['limits']],
  ['models', ['models']],
  ['models[0].group', ['models', 0, 'group']],
  ['models/1/price', ['models']],
  ['expires_at', ['expires']],
  ['secret', undefined],
])('the field that `%s` is about', (param, name) => {
  expect(fieldOf(param, NAMES, { expires_at: 'expires' })).toEqual(name);
});
