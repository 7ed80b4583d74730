// The day of those who administer nothing: a user, who sees what is theirs, and an auditor, who sees everything and changes nothing.

import type { Page } from '@playwright/test';
import { Api } from '../rig/api.ts';
import { expect, settled, test } from '../rig/test.ts';
import { recorded } from '../rig/world.ts';

/** Other stories call what fails, and the channel rests for it. */
test.beforeEach(({ world }) => world.api.post(`/api/v1/channels/${world.channel}/mend`, {}));

/** What a page shows, whichever id it was asked for by. */
async function words(page: Page, path: string, id: string): Promise<string> {
  await page.goto(path + id);
  await settled(page);
  return (await page.locator('main').innerText()).replaceAll(id, 'ID');
}

test('the day of a user: a key, a call with it, why it went there and what it cost, and nothing of who sits beside them', async ({ as, world }) => {
  test.setTimeout(120_000);
  // Somebody of the same group, whose things are as much their own.
  await world.api.post('/api/v1/users', { id: 'neighbour', email: 'neighbour@example.com', role: 'user', organization: 'acme' });
  await world.api.post(`/api/v1/groups/${world.own.group}/members`, { user: 'neighbour', role: 'user' });
  const theirs = await world.api.post('/api/v1/keys', { alias: 'the neighbour’s', group: world.own.group, user: 'neighbour' });
  try {
    await new Api(world.gateway.url, theirs.secret).chat('gpt-4o-mini', 'what nobody else reads');
    const [call] = await recorded(world.api, theirs.key.id, 1);

    const page = await as('user');
    await page.goto('/keys');
    await page.getByRole('button', { name: 'New key' }).click();
    const sheet = page.getByRole('dialog');
    // Whose it is isn't asked of who makes them for nobody else.
    await expect(sheet.getByLabel('User', { exact: true })).toHaveCount(0);
    await sheet.getByLabel('Alias').fill('my notebook');
    await sheet.getByLabel('Group', { exact: true }).click();
    await page.locator('.ant-select-item-option').filter({ hasText: 'Research' }).click();
    await sheet.getByRole('button', { name: 'Create', exact: true }).click();
    const secret = (await page.getByTestId('secret').locator('pre').innerText()).trim();
    await page.getByRole('button', { name: 'I have saved it' }).click();
    expect((await new Api(world.gateway.url, secret).chat('gpt-4o-mini', 'hello')).status).toBe(200);

    const row = page.getByRole('row').filter({ hasText: 'my notebook' });
    await expect(async () => {
      await page.goto('/requests');
      await expect(row).toHaveCount(1, { timeout: 2_000 });
    }).toPass();
    await row.getByRole('link').first().click();
    await expect(page.getByRole('list', { name: 'Why it went there' })).toContainText('gpt-4o-mini');
    await page.goto('/usage?by=key');
    await expect(page.getByRole('row').filter({ hasText: 'my notebook' })).toContainText('$');
    await expect(page.locator('main')).not.toContainText('neighbour');

    for (const list of ['/keys', '/requests']) {
      await page.goto(list);
      await settled(page);
      await expect(page.locator('main')).not.toContainText('neighbour');
    }
    for (const [path, id] of [
      ['/keys/', theirs.key.id],
      ['/requests/', call?.call ?? ''],
      ['/users/', 'neighbour'],
    ] as const) {
      const unknown = id.replace(/.{4}$/, 'zzzz');
      expect(await words(page, path, id), path).toBe(await words(page, path, unknown));
    }
  } finally {
    await world.api.ask('DELETE', '/api/v1/users/neighbour');
  }
});

test('the day of an auditor: every list and page of the organization, its trail as a file, and no button that changes anything', async ({ as, world }) => {
  test.setTimeout(120_000);
  const page = await as('auditor');
  const main = page.locator('main');
  for (const [path, shown] of [
    [`/groups/${world.own.group}`, 'Research'],
    [`/keys/${world.own.key}`, 'Research key'],
    [`/users/${world.own.user}`, 'user@example.com'],
    [`/requests/${world.own.call}`, 'gpt-4o-mini'],
    ['/policies/quiet', 'quiet'],
    ['/organizations/acme', 'Acme'],
  ] as const) {
    await page.goto(path);
    await settled(page);
    await expect(main).toContainText(shown);
    for (const name of [/^New /, /^Add /, 'Change', 'Block', 'Delete', 'Rotate', 'Remove', 'Activate', 'Save as a version'])
      await expect(main.getByRole('button', { name, exact: true }), `${name} at ${path}`).toHaveCount(0);
  }
  await page.goto('/audit');
  await settled(page);
  const download = page.waitForEvent('download');
  await page.getByText('CSV', { exact: true }).click();
  expect((await download).suggestedFilename()).toMatch(/\.csv$/);

  // The same by the API, with what the console is signed in by.
  const cookie = world.session.auditor;
  const ask = async (method: string, path: string, body?: object) => {
    const headers = { cookie, 'content-type': 'application/json', 'x-sluicegate-csrf': '1' };
    const answer = await fetch(world.gateway.url + path, { method, headers, body: body && JSON.stringify(body) });
    return answer.status;
  };
  expect(await ask('GET', `/api/v1/groups/${world.own.group}`)).toBe(200);
  expect(await ask('PATCH', `/api/v1/groups/${world.own.group}`, { blocked: true })).toBe(403);
  expect(await ask('POST', '/api/v1/keys', { alias: 'mine', group: world.own.group })).toBe(403);
  expect(await ask('DELETE', `/api/v1/keys/${world.own.key}`)).toBe(403);
});
