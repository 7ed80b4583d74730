import { expect, test } from 'vitest';
import { above } from './above';

test.each([
  [{ group: 'g', user: 'u' }, ['membership g/u', 'group g', 'organization o']],
  [{ group: 'g', user: null }, ['group g', 'organization o']],
  // A user's own limits hold where no group has the budget.
  [{ group: null, user: 'u' }, ['user u', 'organization o']],
  [{ group: null, user: null }, ['organization o']],
])('%j', (key, want) => {
  expect(above({ ...key, organization: 'o' }).map((it) => `${it.scope} ${it.id}`)).toEqual(want);
});
