import { expect, test } from 'vitest';
import { above } from './above';

test.each([
  [{ group: 'g', user: 'u', user_limits_apply: false }, ['membership g/u', 'group g', 'organization o']],
  // Where the gateway is told so, a user's own limits hold for the keys of groups, too.
  [
    { group: 'g', user: 'u', user_limits_apply: true },
    ['membership g/u', 'group g', 'user u', 'organization o'],
  ],
  [{ group: 'g', user: null, user_limits_apply: false }, ['group g', 'organization o']],
  // A user's own limits hold where no group has the budget.
  [{ group: null, user: 'u', user_limits_apply: true }, ['user u', 'organization o']],
  [{ group: null, user: null, user_limits_apply: false }, ['organization o']],
])('%j', (key, want) => {
  expect(above({ ...key, organization: 'o' }).map((it) => `${it.scope} ${it.id}`)).toEqual(want);
});
