// Every page in both languages and both themes: there, and without a fault that axe knows.

import type { Page } from '@playwright/test';
import { expect, faultless, settled, test } from '../rig/test.ts';
import { recorded, type World } from '../rig/world.ts';

const PAGES: [string, (world: World) => string][] = [
  ['overview', () => '/overview'],
  ['usage', () => '/usage'],
  ['requests', () => '/requests'],
  ['a request', (it) => `/requests/${it.own.call}`],
  ['playground', () => '/playground'],
  ['keys', () => '/keys'],
  ['a key', (it) => `/keys/${it.own.key}`],
  ['a form', () => '/keys?create=1'],
  ['groups', () => '/groups'],
  ['a group', (it) => `/groups/${it.own.group}`],
  ['users', () => '/users'],
  ['a user', (it) => `/users/${it.own.user}`],
  ['organizations', () => '/organizations'],
  ['an organization', () => '/organizations/acme'],
  ['channels', () => '/channels'],
  ['a channel', (it) => `/channels/${it.channel}`],
  ['models', () => '/models'],
  ['policies', () => '/policies'],
  ['a policy', (it) => `/policies/${it.policy}`],
  ['audit', () => '/audit'],
  ['system', () => '/system'],
  ['account', () => '/account'],
  ['what is not there', () => '/nowhere'],
];

/** What stands above a page, and what is only there for some calls: each is opened, and looked at. */
const OPENED: [string, (world: World) => Promise<string>, (page: Page) => Promise<void>][] = [
  ['a call that was refused', (it) => called(it, { model: 'no-such-model' }), async () => {}],
  ['a call that was streamed', (it) => called(it, { model: 'gpt-4o-mini', stream: true }), async () => {}],
  [
    'what asks before a key is deleted',
    async (it) => `/keys/${it.own.key}`,
    async (page) => {
      await page.locator('.head .ant-btn-dangerous').click();
      await expect(page.getByRole('dialog')).toBeVisible();
    },
  ],
  [
    'a form with what is wrong in it',
    async () => '/groups?create=1',
    async (page) => {
      await page.getByRole('dialog').locator('button.ant-btn-primary').click();
      await expect(page.locator('.ant-form-item-explain-error').first()).toBeVisible();
    },
  ],
  [
    'the form of a channel, with the price of a model',
    async (it) => `/channels/${it.channel}?price=gpt-4o-mini`,
    async (page) => {
      await expect(page.locator('.own-price')).toBeVisible();
    },
  ],
  [
    'the menu of columns',
    async () => '/usage?by=model&and=group',
    async (page) => {
      await page.getByRole('button', { name: 'Columns' }).click();
      await expect(page.getByRole('checkbox', { name: 'Cost' })).toBeVisible();
    },
  ],
  [
    'channels that are chosen',
    async () => '/channels',
    async (page) => {
      await page.getByRole('checkbox').first().check();
      await expect(page.getByText('1 chosen')).toBeVisible();
    },
  ],
  [
    'the form of a group, with where its calls go first',
    async (it) => `/groups/${it.own.group}`,
    async (page) => {
      await page.locator('.head').getByRole('button', { name: 'Change', exact: true }).click();
      await page.getByRole('button', { name: 'Add a preference' }).click();
    },
  ],
];

/** The page of a call that is made for it. */
async function called(world: World, body: { model: string; stream?: boolean }) {
  const made = await world.api.post('/api/v1/keys', { alias: `looked at ${Math.random()}`, group: world.foreign.group });
  const headers = { authorization: `Bearer ${made.secret}`, 'content-type': 'application/json' };
  const messages = [{ role: 'user', content: 'hello' }];
  const answer = await fetch(`${world.gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ ...body, messages, max_tokens: 20 }),
  });
  await answer.text();
  return `/requests/${(await recorded(world.api, made.key.id, 1))[0]?.call}`;
}

/** Each language and each theme; what the one does to a page doesn't hang on the other. */
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
      await faultless(page, info, 'page');
    });
  }
}

for (const colours of ['light', 'dark'] as const) {
  for (const [name, path, act] of OPENED) {
    test(`${name}, ${colours}`, async ({ as, world }, info) => {
      const page = await as('super_admin', { colours });
      await page.goto(await path(world));
      await settled(page);
      await act(page);
      await faultless(page, info, name);
    });
  }

  test(`the sign-in page, the search, and the menus have no fault either, ${colours}`, async ({ as, visitor, world }, info) => {
    const stranger = await visitor(world.gateway.url);
    await stranger.emulateMedia({ colorScheme: colours });
    await stranger.goto('/keys');
    await expect(stranger).toHaveURL(/\/login\?next=/);
    await expect(stranger.getByLabel('Password')).toBeVisible();
    await faultless(stranger, info, 'sign-in');
    const page = await as('super_admin', { colours });
    await page.goto('/overview');
    await settled(page);
    await page.keyboard.press('Control+k');
    await page.keyboard.type('Res');
    await expect(page.getByRole('option').filter({ hasText: 'Research key' })).toBeVisible();
    await faultless(page, info, 'search');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /^Signed in as/ }).click();
    await expect(page.getByRole('button', { name: 'Sign out' })).toBeVisible();
    await faultless(page, info, 'menu');
    await page.keyboard.press('Escape');
    await page.setViewportSize({ width: 390, height: 844 });
    await page.getByRole('button', { name: 'Navigation' }).click();
    await expect(page.getByRole('link', { name: 'Keys', exact: true })).toBeVisible();
    await faultless(page, info, 'drawer');
  });
}
