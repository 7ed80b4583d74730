// Ways in: through a provider of the company, and the pages before a session, which have no fault that axe knows either.

import type { Page } from '@playwright/test';
import { Api } from '../rig/api.ts';
import { codeOf } from '../rig/code.ts';
import { freePort } from '../rig/process.ts';
import { CLIENT, startProvider } from '../rig/provider.ts';
import { expect, faultless, settled, test } from '../rig/test.ts';
import { PASSWORD } from '../rig/world.ts';

const PEOPLE = { ada: ['llm-research'], olga: ['llm-research', 'llm-admins'], eve: ['sales'] };

const config = (url: string, issuer: string) => `version: 1
server: {demo_channel: false}
organizations: [{id: acme}]
groups: [{id: research, alias: Research, organization: acme}, {id: law, alias: Law, organization: acme}]
auth:
  public_url: ${url}
  oidc:
    - id: corp
      name: Corporate account
      issuer: ${issuer}
      client_id: ${CLIENT.id}
      client_secret: ${CLIENT.secret}
      organization: acme
      sign_up: true
      email_domains: [corp.example]
      groups: [{value: llm-research, group: research}]
      roles: [{value: llm-admins, role: organization_admin}]
`;

/** The provider's own pages ask for letters there. */
const LETTERS = 'https://fonts.googleapis.com/';

/** Goes through the provider's own pages, as somebody of its people. */
async function through(page: Page, name: string) {
  await page.getByRole('link', { name: /Corporate account/ }).click();
  await page.getByPlaceholder('Enter any login').fill(name);
  await page.getByPlaceholder('and password').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
}

test('people of a provider sign in through it: into their groups and roles, back to where they were going, and out', async ({ visitor, alone }, info) => {
  test.setTimeout(120_000);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const provider = await startProvider(url, 'corp', PEOPLE);
  try {
    await alone(config(url, provider.url), { port });
    await new Api(url).post('/api/v1/setup', { email: 'root@example.com', password: PASSWORD });

    await test.step('a plain member', async () => {
      const page = await visitor(url, provider.url, LETTERS);
      await page.goto('/keys?create=1');
      await expect(page).toHaveURL(/\/login\?next=/);
      await expect(page.getByRole('link', { name: /Corporate account/ })).toBeVisible();
      await faultless(page, info, 'ways in');
      await through(page, 'ada');
      await expect(page).toHaveURL(`${url}/keys?create=1`);
      const sheet = page.getByRole('dialog');
      await sheet.getByLabel('Group', { exact: true }).click();
      const groups = page.locator('.ant-select-item-option');
      await expect(groups.filter({ hasText: 'Research' })).toHaveCount(1);
      await expect(groups.filter({ hasText: 'Law' })).toHaveCount(0);
      await page.goto('/account');
      await expect(page.getByRole('button', { name: 'Signed in as ada' })).toBeVisible();
      await page.goto('/groups/law');
      await settled(page);
      await expect(page.locator('main')).not.toContainText('Law');
      // It signs out here; the company's own session is the company's.
      await page.getByRole('button', { name: /^Signed in as/ }).click();
      await page.locator('#self').getByRole('button', { name: 'Sign out' }).click();
      await expect(page).toHaveURL(/\/login/);
      await page.goto('/keys');
      await expect(page).toHaveURL(/\/login\?next=/);
    });

    await test.step('who administers there, administers here', async () => {
      const page = await visitor(url, provider.url, LETTERS);
      await page.goto('/login');
      await through(page, 'olga');
      await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
      await page.goto('/groups');
      const groups = page.getByRole('table', { name: 'Groups' });
      await expect(groups).toContainText('Law');
      await page.goto('/users');
      await expect(page.getByRole('table', { name: 'Users' })).toContainText('ada');
    });

    await test.step('whoever says no there is told so here, and may try again', async () => {
      const page = await visitor(url, provider.url, LETTERS);
      await page.goto('/login?next=%2Fusage');
      await page.getByRole('link', { name: /Corporate account/ }).click();
      await page.locator('a[href$="/abort"]').click();
      await expect(page.getByRole('alert')).toBeVisible();
      await faultless(page, info, 'refused');
      await through(page, 'eve');
      await expect(page.getByRole('button', { name: /^Signed in as/ })).toBeVisible();
    });
  } finally {
    await provider.stop();
  }
});

for (const { language, colours } of [
  { language: 'en', colours: 'light' },
  { language: 'zh', colours: 'dark' },
] as const) {
  test(`before a session nothing is at fault: set-up, invitation, second step in ${language}, ${colours}`, async ({ visitor, alone }, info) => {
    test.setTimeout(90_000);
    const gateway = await alone();
    const preference = { language, colours };
    const guest = async () => {
      const page = await visitor(gateway.url);
      await page.addInitScript((it) => localStorage.setItem('sluicegate.preference', JSON.stringify(it)), preference);
      return page;
    };
    const page = await guest();
    await page.goto('/');
    await expect(page).toHaveURL(/\/setup/);
    await expect(page.locator('input[name=master]')).toBeVisible();
    await faultless(page, info, 'set-up');
    await page.locator('button[type=submit]').click();
    await faultless(page, info, 'set-up, with what is missing');

    const api = new Api(gateway.url);
    await api.post('/api/v1/setup', { email: 'root@example.com', password: PASSWORD });
    await api.post('/api/v1/users', { id: 'guest', email: 'guest@example.com' });
    const made = await api.post('/api/v1/users/guest/invitation', {});
    const invited = await guest();
    await invited.goto(made.url);
    await expect(invited.locator('input[name=again]')).toBeVisible();
    await faultless(invited, info, 'invitation');
    await invited.locator('input[name=password]').fill(PASSWORD);
    await invited.locator('input[name=again]').fill(PASSWORD);
    await invited.locator('button[type=submit]').click();
    await settled(invited);

    const send = async (method: string, data: object) => {
      const answer = await invited.request.fetch('/api/v1/account/second-step', { method, data, headers: { 'x-sluicegate-csrf': '1' } });
      expect(answer.ok(), `${method}: ${await answer.text()}`).toBe(true);
      return answer.json();
    };
    const { secret } = await send('POST', { password: PASSWORD });
    await send('PUT', { code: codeOf(secret) });
    await invited.context().clearCookies();
    await invited.goto('/login');
    await invited.locator('input[name=login]').fill('guest@example.com');
    await invited.locator('input[name=password]').fill(PASSWORD);
    await invited.locator('button[type=submit]').click();
    await expect(invited.locator('input[name=code]')).toBeVisible();
    await faultless(invited, info, 'second step');
  });
}
