import { expect, test } from 'vitest';
import { inside } from './inside';

test.each([
  [null, '/overview'],
  ['/requests?model=m', '/requests?model=m'],
  ['https://evil.example/', '/overview'],
  ['//evil.example/', '/overview'],
  ['/\\evil.example/', '/overview'],
  ['javascript:alert(1)', '/overview'],
])('after the sign-in one stays in the console: %s', (next, to) => {
  expect(inside(next)).toBe(to);
});
