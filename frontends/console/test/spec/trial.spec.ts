// A policy's next version is tried beside the one that decides, decides, and is taken back.

import { Api } from '../rig/api.ts';
import { expect, settled, test } from '../rig/test.ts';

test('a version in shadow tells what it would have refused, decides once it is activated, and is rolled back', async ({ as, world }) => {
  const path = '/api/v1/policies/tried-out';
  const made = await world.api.post('/api/v1/keys', { alias: 'tried', group: world.own.group });
  const caller = new Api(world.gateway.url, made.secret);
  const ask = async () => (await caller.chat('gpt-4o-mini', 'hello')).status;
  await world.api.post(`/api/v1/channels/${world.channel}/mend`, {});
  try {
    await world.api.put(path, { text: 'fn admit(call) {}', key: made.key.id });
    await world.api.post(`${path}/activate`, { version: 1 });
    await world.api.put(path, { text: 'fn admit(call) { deny("closed for today"); }', key: made.key.id });
    const page = await as('super_admin');
    const versions = page.getByRole('table', { name: 'Versions' });
    const row = (number: string) => versions.getByRole('row').filter({ has: page.getByRole('cell', { name: number, exact: true }) });
    await page.goto('/policies/tried-out?tab=versions');
    await row('2').getByRole('button', { name: 'Try in shadow' }).click();
    await expect(row('2')).toContainText('In shadow');
    // What is in shadow refuses nobody.
    expect([await ask(), await ask()]).toEqual([200, 200]);

    const examples = page.getByRole('table', { name: 'Where they differ' });
    await expect(async () => {
      await page.goto('/policies/tried-out?tab=shadow');
      await settled(page);
      await expect(examples).toContainText('closed for today', { timeout: 2_000 });
    }).toPass();
    await expect(page.locator('.figures > *', { hasText: 'Refused only by the new' }).locator('.figure')).toHaveText('2');

    await page.goto('/policies/tried-out?tab=versions');
    await row('2').getByRole('button', { name: 'Activate' }).click();
    await expect(page.getByRole('dialog')).toContainText('It decides calls at once, in the place of version 1.');
    await page.getByRole('dialog').getByRole('button', { name: 'Activate' }).click();
    await expect(row('2')).toContainText('Active');
    await expect.poll(ask).toBe(403);

    await page.getByRole('button', { name: 'Roll back' }).click();
    await expect(page.getByRole('dialog')).toContainText('Version 1 decides calls again, at once.');
    await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click();
    await expect(row('2')).toContainText('Rolled back');
    await expect(row('1')).toContainText('Active');
    await expect.poll(ask).toBe(200);
  } finally {
    await world.api.ask('DELETE', path);
    await world.api.ask('DELETE', `/api/v1/keys/${made.key.id}`);
  }
});
