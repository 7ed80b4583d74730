import { expect, test } from 'vitest';
import { keyName } from './playground_key';

test('the key of a group that one is not in is another one than once one is', () => {
  const group = { id: 'g', name: 'Research' };
  const name = (groups: string[], user = 'ada') => keyName({ user, groups }, group);
  expect(name([])).toBe('playground (guest) · ada · Research');
  expect(name(['g'])).toBe('playground · ada · Research');
  expect(keyName({ user: 'ada', groups: [] }, undefined)).toBe('playground · ada');
});
