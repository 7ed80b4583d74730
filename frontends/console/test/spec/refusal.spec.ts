// What is changed is seen at once; what the server refuses is as it was, and says why.

import type { Locator, Page } from '@playwright/test';
import { expect, settled, test } from '../rig/test.ts';
import { channel, type World } from '../rig/world.ts';

type Case = {
  name: string;
  /** Where it is done. */
  at: (world: World) => string | Promise<string>;
  /** What the server is asked. */
  asks: RegExp;
  act: (page: Page) => Promise<void>;
  /** What shows how it stands. */
  shows: (page: Page) => Locator;
  before: string | RegExp;
  after: string | RegExp;
};

async function type(page: Page, name: string, words: string) {
  await page.getByRole('button', { name: `Change: ${name}` }).click();
  await page.getByRole('textbox', { name }).fill(words);
  await page.keyboard.press('Enter');
}

const CASES: Case[] = [
  {
    name: 'a key that is blocked',
    at: (it) => `/keys/${it.own.key}`,
    asks: /\/api\/v1\/keys\/[^/?]+$/,
    act: async (page) => {
      await page.getByRole('button', { name: 'Block', exact: true }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Block' }).click();
    },
    shows: (page) => page.locator('.head .tag').first(),
    before: 'Active',
    after: 'Blocked',
  },
  {
    name: 'a group that is blocked, told how many keys stop',
    at: async ({ api }) => {
      const { id } = await api.post('/api/v1/groups', { alias: 'To be blocked', organization: 'acme' });
      await api.post('/api/v1/keys', { alias: 'Stops with its group', group: id });
      return `/groups/${id}`;
    },
    asks: /\/api\/v1\/groups\/[^/?]+$/,
    act: async (page) => {
      await page.getByRole('button', { name: 'Block', exact: true }).click();
      await expect(page.getByRole('dialog')).toContainText('1 key stops working at once');
      await page.getByRole('dialog').getByRole('button', { name: 'Block' }).click();
    },
    shows: (page) => page.locator('.head .tag').first(),
    before: 'Active',
    after: 'Blocked',
  },
  {
    name: 'a group of another name',
    at: (it) => `/groups/${it.own.group}`,
    asks: /\/api\/v1\/groups\/[^/?]+$/,
    act: (page) => type(page, 'Name', 'Explorers'),
    shows: (page) => page.getByRole('heading', { level: 1 }),
    before: 'Research',
    after: 'Explorers',
  },
  {
    name: 'a weight in the list',
    at: () => '/channels',
    asks: /\/api\/v1\/channels\/bulk$/,
    act: (page) => type(page, 'Weight, First channel', '7'),
    shows: (page) => page.getByRole('row', { name: /First channel/ }).getByRole('button', { name: /Weight/ }),
    before: '1',
    after: '7',
  },
  {
    name: 'a channel that is switched off',
    at: () => '/channels',
    asks: /\/api\/v1\/channels\/bulk$/,
    act: async (page) => {
      await page.getByRole('switch', { name: 'First channel is on' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Switch off' }).click();
    },
    shows: (page) => page.getByRole('row', { name: /First channel/ }).locator('.tag').first(),
    before: /Healthy|Cooling down|failed|failure|Failing/,
    after: 'Off',
  },
];

for (const it of CASES) {
  test(it.name, async ({ as, world }) => {
    const page = await as('super_admin');
    let answer = () => {};
    const asked = new Promise<void>((done) => {
      answer = done;
    });
    let refuse = () => {};
    const held = new Promise<void>((done) => {
      refuse = done;
    });
    await page.route(it.asks, async (route) => {
      if (route.request().method() === 'GET') return route.fallback();
      answer();
      await held;
      const error = { message: 'not today, says the server', type: 'invalid_request_error', code: null, param: null };
      return route.fulfill({ status: 409, json: { error } });
    });
    await page.goto(await it.at(world));
    await settled(page);
    await expect(it.shows(page)).toHaveText(it.before);
    await it.act(page);
    // The server was asked and hasn't answered: it is seen all the same.
    await asked;
    await expect(it.shows(page)).toHaveText(it.after);
    refuse();
    await expect(page.getByText('not today, says the server')).toBeVisible();
    await expect(it.shows(page)).toHaveText(it.before);
  });
}

test('many channels are changed in one go, and what breaks is named first', async ({ as, world }) => {
  const made = channel('Second channel', world.upstream.url);
  made.declared.models = ['gpt-4o-mini', 'gpt-4.1-nano'];
  const id = (await world.api.post('/api/v1/channels', made)).id;
  const page = await as('super_admin');
  await page.goto('/channels');
  const row = page.getByRole('row', { name: /Second channel/ });
  await row.getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Change', exact: true }).click();
  const form = page.getByRole('dialog', { name: 'Change 1 channel' });
  await form.getByLabel('Priority').fill('3');
  await form.getByLabel('Add tags').fill('fast,');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(row).toContainText('fast');
  await expect(row.getByRole('button', { name: /Priority/ })).toHaveText('3');
  await row.getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Switch off' }).click();
  // The first channel serves the other one of its models.
  await expect(page.getByRole('dialog')).toContainText('no other channel serves them: gpt-4.1-nano.');
  await page.getByRole('dialog').getByRole('button', { name: 'Switch off' }).click();
  await expect(row.locator('.tag').first()).toHaveText('Off');
  await expect.poll(async () => (await world.api.get(`/api/v1/channels/${id}`)).enabled).toBe(false);
});

test('names that the first lists lack are asked for', async ({ as }) => {
  const page = await as('super_admin');
  // As if there were more keys than are read at once.
  await page.route(/\/api\/v1\/keys\?limit=500$/, (route) => route.fulfill({ json: { items: [], total: 900 } }));
  await page.goto('/requests');
  await expect(page.getByRole('table', { name: 'Requests' })).toContainText('Research key');
});
