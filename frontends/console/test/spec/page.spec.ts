// Every page in both languages and both themes: there, and without a fault that axe knows.

import AxeBuilder from '@axe-core/playwright';
import { expect, settled, test } from '../rig/test.ts';
import type { World } from '../rig/world.ts';

const PAGES: [string, (world: World) => string][] = [
  ['overview', () => '/overview'],
  ['usage', () => '/usage'],
  ['requests', () => '/requests'],
  ['a request', (it) => `/requests/${it.own.call}`],
  ['playground', () => '/playground'],
  ['keys', () => '/keys'],
  ['a key', (it) => `/keys/${it.own.key}`],
  ['groups', () => '/groups'],
  ['a group', (it) => `/groups/${it.own.group}`],
  ['users', () => '/users'],
  ['a user', (it) => `/users/${it.own.user}`],
  ['organizations', () => '/organizations'],
  ['an organization', () => '/organizations/acme'],
  ['channels', () => '/channels'],
  ['policies', () => '/policies'],
  ['audit', () => '/audit'],
  ['system', () => '/system'],
  ['account', () => '/account'],
];

const LOOKS = [
  { language: 'en', colours: 'light' },
  { language: 'zh', colours: 'dark' },
] as const;

for (const look of LOOKS) {
  for (const [name, path] of PAGES) {
    test(`${name} in ${look.language}, ${look.colours}`, async ({ as, world }, info) => {
      const page = await as('super_admin', look);
      await page.goto(path(world));
      await settled(page);
      await expect(page.locator('html')).toHaveAttribute('lang', new RegExp(`^${look.language}`));
      const found = await new AxeBuilder({ page }).analyze();
      await info.attach('page', { body: await page.screenshot({ fullPage: true }), contentType: 'image/png' });
      expect(found.violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.html).join(' ')}`)).toEqual([]);
    });
  }
}

test('the sign-in page has no fault either', async ({ visitor, world }) => {
  const page = await visitor(world.gateway.url);
  await page.goto('/keys');
  await expect(page).toHaveURL(/\/login\?next=/);
  await expect(page.getByLabel('Password')).toBeVisible();
  const found = await new AxeBuilder({ page }).analyze();
  expect(found.violations.map((it) => it.id)).toEqual([]);
});
