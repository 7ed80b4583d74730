import { describe, expect, test } from 'vitest';
import { allows, type Cause, causes, type Holder, near } from './cause';

test.each<[string[], string, boolean]>([
  [[], 'gpt-4o', true],
  [['gpt-4o'], 'gpt-4o', true],
  [['gpt-4o'], 'gpt-4o-mini', false],
  [['gpt-*'], 'gpt-4o', true],
  [['claude-*', 'gpt-4o'], 'o3', false],
])('%j allows %s: %s', (models, model, is) => {
  expect(allows(models, model)).toBe(is);
});

describe('what refused a call', () => {
  const key: Holder = { scope: 'key', id: 'k' };
  const group: Holder = { scope: 'group', id: 'g', models: ['claude*'] };
  test.each<[string, string, Holder[], boolean | undefined, Cause[]]>([
    [
      'a group that may not',
      'model_not_found',
      [key, group],
      true,
      [{ why: 'models', scope: 'group', id: 'g', models: ['claude*'] }],
    ],
    ['nobody serves it', 'model_not_found', [key], false, [{ why: 'unserved' }]],
    ['nobody can tell', 'model_not_found', [key], undefined, []],
    ['an alias that may', 'model_not_found', [{ ...key, aliases: { m: 'claude-4' } }, group], false, []],
    [
      'a group that is blocked',
      'forbidden',
      [key, { ...group, blocked: true }],
      undefined,
      [{ why: 'blocked', scope: 'group', id: 'g' }],
    ],
    [
      'a key that has expired',
      'unauthenticated',
      [{ ...key, expires_at: 5 }],
      undefined,
      [{ why: 'expired', scope: 'key', id: 'k', at: 5 }],
    ],
    ['a key that had not', 'unauthenticated', [{ ...key, expires_at: 11 }], undefined, []],
    [
      'another address',
      'forbidden',
      [{ ...key, allowed_ips: ['10.0.0.1'] }],
      undefined,
      [{ why: 'address', scope: 'key', id: 'k', from: ['10.0.0.1'] }],
    ],
  ])('%s', (_, error, holders, served, want) => {
    expect(causes({ error, model: 'm', at: 10 }, holders, served)).toEqual(want);
  });
});

test('names that begin alike are offered, the nearest first', () => {
  const names = ['o3', 'gpt-4o', 'gpt-4o-mini', 'gpt-5', 'claude-4'];
  expect(near('gpt-4o-minii', names)).toEqual(['gpt-4o-mini', 'gpt-4o', 'gpt-5']);
  expect(near('x', names)).toEqual([]);
});
