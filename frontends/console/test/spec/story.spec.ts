// From the first start to a cap that was hit, understood and raised: all of it in the console, but for the calls.

import type { Locator, Page } from '@playwright/test';
import { Api } from '../rig/api.ts';
import { MASTER_KEY, startGateway, startUpstream, UPSTREAM_KEY } from '../rig/process.ts';
import { expect, settled, test } from '../rig/test.ts';
import { PASSWORD } from '../rig/world.ts';


/** Chooses from a list that opens. */
async function choose(page: Page, field: Locator, option: string) {
  await field.click();
  const list = page.locator('.ant-select-dropdown:not(.ant-select-dropdown-hidden) .ant-select-item-option');
  await list.filter({ hasText: option }).first().click();
}

test('from the first start to a cap that is hit, understood and raised', async ({ visitor }) => {
  test.setTimeout(150_000);
  const [upstream, gateway] = await Promise.all([startUpstream(), startGateway()]);
  try {
    const page = await visitor(gateway.url);
    const sheet = page.getByRole('dialog');
    const create = () => sheet.getByRole('button', { name: 'Create', exact: true }).click();

    await test.step('the first administrator', async () => {
      await page.goto('/');
      await expect(page.getByRole('heading', { name: 'Welcome to Sluicegate' })).toBeVisible();
      await page.getByLabel("Administrator's key").fill(MASTER_KEY);
      await page.getByLabel('Your e-mail address').fill('root@example.com');
      await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
      await page.getByLabel('Repeat the password').fill(PASSWORD);
      await page.getByRole('button', { name: 'Create the administrator' }).click();
    });

    await test.step('a channel', async () => {
      await expect(page).toHaveURL(/\/channels/);
      await sheet.getByLabel('Provider').fill('OpenAI');
      await page.locator('.ant-select-item-option', { hasText: /^OpenAI$/ }).first().click();
      await sheet.getByLabel('Name', { exact: true }).fill('In-house');
      await sheet.getByLabel('Address', { exact: true }).first().fill(`${upstream.url}/v1`);
      await sheet.getByLabel('Credential').fill(UPSTREAM_KEY);
      await sheet.getByLabel('Model', { exact: true }).fill('gpt-4o-mini');
      await create();
      await expect(sheet).toHaveCount(0);
      await page.goto('/channels');
      await expect(page.locator('main')).toContainText('In-house');
    });

    await test.step('a group with a daily cap of tokens', async () => {
      await page.goto('/groups');
      // Where there is none yet, it is said twice.
      await page.getByRole('button', { name: 'New group' }).first().click();
      await sheet.getByLabel('Name', { exact: true }).fill('Research');
      await sheet.getByRole('button', { name: 'Add a limit' }).click();
      await choose(page, sheet.getByLabel('What is limited'), 'Tokens');
      await sheet.getByLabel('Amount').fill('300');
      await choose(page, sheet.getByLabel('Period'), 'per day');
      await create();
      await expect(page.getByRole('heading', { name: 'Research' })).toBeVisible();
      await expect(page.locator('main')).toContainText('0 / 300');
    });
    const group = page.url();

    await test.step('a user in it', async () => {
      await page.goto('/users');
      await page.getByRole('button', { name: 'New user' }).click();
      await sheet.getByLabel('E-mail address').fill('ada@example.com');
      await sheet.getByLabel('Name', { exact: true }).fill('Ada');
      await create();
      await expect(page.getByRole('heading', { name: 'Ada' })).toBeVisible();
      await page.goto(group);
      await page.getByRole('button', { name: 'Add a member' }).click();
      await choose(page, sheet.getByLabel('User', { exact: true }), 'Ada');
      await sheet.getByRole('button', { name: /^(Add|Create)$/ }).click();
      await expect(page.getByRole('table', { name: 'Members' }).getByRole('row')).toHaveCount(2);
    });

    let secret = '';
    await test.step('a key, shown once', async () => {
      await page.goto('/keys');
      await page.getByRole('button', { name: 'New key' }).first().click();
      await sheet.getByLabel('Alias').fill('Ada at work');
      await choose(page, sheet.getByLabel('Group', { exact: true }), 'Research');
      await choose(page, sheet.getByLabel('User', { exact: true }), 'Ada');
      await create();
      secret = (await page.getByTestId('secret').locator('pre').innerText()).trim();
      expect(secret).toMatch(/^sk-/);
      await expect(page.getByRole('tab', { name: 'Python' })).toBeVisible();
      await page.getByRole('button', { name: 'I have saved it' }).click();
      await settled(page);
      expect(await page.content()).not.toContain(secret);
    });

    const caller = new Api(gateway.url, secret);
    let refused = '';
    await test.step('calls, until the cap', async () => {
      expect((await caller.chat('gpt-4o-mini', 'hello')).status).toBe(200);
      for (let turn = 0; turn < 60 && !refused; turn++) {
        const { status, json } = await caller.chat('gpt-4o-mini', 'hello');
        if (status !== 200) {
          expect(status).toBe(429);
          expect(json.error.code).toBe('insufficient_quota');
          refused = json.error.message;
        }
      }
      expect(refused).not.toBe('');
    });

    await test.step('why it was refused', async () => {
      await page.goto('/requests');
      const call = page.getByRole('row').filter({ hasText: 'Limit reached' }).first();
      await expect(call).toBeVisible();
      await call.getByRole('link').first().click();
      await expect(page).toHaveURL(/\/requests\/.+/);
      const why = page.getByRole('list', { name: 'Why it went there' });
      await expect(why).toContainText('Group Research: Tokens per day leaves too little');
      await expect(why).toContainText('of 300 used');
    });

    await test.step('a higher cap', async () => {
      await page.goto(group);
      await page.getByRole('button', { name: 'Change', exact: true }).first().click();
      await sheet.getByLabel('Amount').fill('1M');
      await sheet.getByRole('button', { name: 'Save' }).click();
      await expect(page.locator('main')).toContainText('/ 1,000,000');
      await expect.poll(async () => (await caller.chat('gpt-4o-mini', 'hello')).status).toBe(200);
    });

    await test.step('what it cost', async () => {
      await page.goto('/usage?by=group');
      const row = page.getByRole('row').filter({ hasText: 'Research' });
      await expect(row).toBeVisible();
      // A few tokens of a cheap model, and never nothing.
      await expect(row).toContainText(/\$0\.0000[1-9]/);
      await page.goto('/overview');
      await settled(page);
      await expect(page.locator('main')).toContainText('Research');
      await expect(page.locator('main')).toContainText('In-house');
    });
  } finally {
    await Promise.all([gateway.stop(), upstream.stop()]);
  }
});
