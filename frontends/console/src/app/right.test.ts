import { expect, test } from 'vitest';
import { changesPolicy, keyOwner, keyRight, namesGroup, policyNarrows, policyPlace, runs } from './right';
import type { Me } from './session';

const me = (part: Partial<Me>): Me => ({
  name: 'user ada',
  role: 'user',
  user: 'ada',
  organization: 'acme',
  groups: [],
  administers: [],
  ...part,
});
const key = { organization: 'acme', group: 'g', user: 'ada', created_by: 'user boss' };

test.each([
  ['a super administrator', me({ role: 'super_admin', organization: null }), key, 'full'],
  ["its organization's administrator", me({ role: 'organization_admin', user: 'o' }), key, 'full'],
  ['of another one', me({ role: 'organization_admin', user: 'o', organization: 'b' }), key, 'none'],
  ["its group's administrator", me({ user: 'g', administers: ['g'] }), key, 'full'],
  ['of another group', me({ user: 'g', administers: ['h'] }), key, 'none'],
  ['whoever made it', me({}), { ...key, created_by: 'user ada' }, 'maker'],
  ['whose it is', me({}), key, 'owner'],
  ['anybody else', me({ user: 'bob' }), key, 'none'],
  ['an auditor', me({ role: 'auditor' }), key, 'none'],
] as const)('what %s may do to a key', (_, who, what, right) => {
  expect(keyRight(who, what)).toBe(right);
});

test('an organization is run by its own administrators, and the super ones', () => {
  expect(runs(me({ role: 'organization_admin' }), 'acme')).toBe(true);
  expect(runs(me({ role: 'organization_admin' }), 'other')).toBe(false);
  expect(runs(me({ administers: ['g'] }), 'acme')).toBe(false);
});

const ALL = ['organizations', 'groups', 'keys'];

test.each([
  ['a super administrator', me({ role: 'super_admin', organization: null }), [null, null], ALL],
  ['a super one in an organization', me({ role: 'super_admin', administers: ['g'] }), [null, null], ALL],
  ["an organization's", me({ role: 'organization_admin', administers: ['g'] }), ['acme', null], ALL],
  ["a group's", me({ administers: ['g', 'h'] }), [null, 'g'], ['groups']],
] as const)('where a new policy of %s administrator stands', (_, who, [organization, group], narrows) => {
  expect(policyPlace(who)).toEqual({ organization, group, key: null });
  expect(policyNarrows(who)).toEqual(narrows);
});

test.each([
  ["everybody's", {}, [true, false, false, false]],
  ["its organization's", { organization: 'acme' }, [true, true, false, false]],
  ["its group's", { organization: 'acme', group: 'g' }, [true, true, true, false]],
  ["another group's", { organization: 'acme', group: 'h' }, [true, true, false, false]],
  ["another organization's", { organization: 'b', group: 'g2' }, [true, false, false, false]],
] as const)('who changes a policy that is %s', (_, policy, want) => {
  const whom = [
    me({ role: 'super_admin', organization: null }),
    me({ role: 'organization_admin' }),
    me({ administers: ['g'] }),
    me({ role: 'auditor' }),
  ];
  expect(whom.map((it) => changesPolicy(it, policy))).toEqual(want);
});

test.each([
  ['a user in none', me({}), undefined, 'ada', false],
  ['a member of it', me({ groups: ['g', 'h'] }), 'g', 'ada', true],
  ['its administrator', me({ groups: ['g'], administers: ['g'] }), 'g', 'ada', true],
  ['an administrator who is in it', me({ role: 'organization_admin', groups: ['g'] }), 'g', 'ada', false],
  ['an administrator who is not', me({ role: 'super_admin', groups: ['h'] }), 'g', undefined, false],
  ['a super administrator without a group', me({ role: 'super_admin' }), undefined, 'ada', false],
  ['the key of the installation', me({ role: 'super_admin', user: null }), 'g', undefined, false],
] as const)(
  'whose a new key is that %s makes, and whether it needs a group',
  (_, who, group, owner, must) => {
    expect([keyOwner(who, group), namesGroup(who)]).toEqual([owner, must]);
  },
);
