// What a question says is what happens: by name, and counted.

import { expect, settled, test } from '../rig/test.ts';
import { channel, member } from '../rig/world.ts';

test('who is taken out of a group is named, and so many keys are deleted', async ({ as, world }) => {
  try {
    await member(world.api, world.own.group, 'told-leaver', 'acme', 'user');
    await world.api.ask('PATCH', '/api/v1/users/told-leaver', { alias: 'Leaver' });
    for (const alias of ['told one', 'told two']) {
      await world.api.post('/api/v1/keys', { alias, group: world.own.group, user: 'told-leaver' });
    }
    const page = await as('organization_admin');
    await page.goto(`/groups/${world.own.group}`);
    await settled(page);
    const row = page.getByRole('table', { name: 'Members' }).getByRole('row', { name: /Leaver/ });
    await row.getByRole('button', { name: 'Remove' }).click();
    const asked = page.getByRole('dialog');
    await expect(asked).toContainText('Take Leaver out of the group?');
    await expect(asked).toContainText('2 keys of theirs in this group are deleted for good');
    await asked.getByRole('button', { name: 'Remove' }).click();
    await expect(row).toHaveCount(0);
    expect((await world.api.get('/api/v1/keys?user=told-leaver')).total).toBe(0);
  } finally {
    await world.api.ask('DELETE', '/api/v1/users/told-leaver');
  }
});

test('a policy that goes says whose calls it decides, and a trial is ended after a question by who may', async ({ as, world }) => {
  const path = '/api/v1/policies/told-policy';
  try {
    const body = { text: 'fn route(call) {}', group: world.own.group };
    await world.api.put(path, body);
    await world.api.post(`${path}/activate`, { version: 1 });
    await world.api.put(path, { ...body, text: 'fn route(call) { }' });
    await world.api.post(`${path}/shadow`, { version: 2 });

    const auditor = await as('auditor');
    await auditor.goto('/policies/told-policy?tab=shadow');
    await settled(auditor);
    await expect(auditor.getByText('Where they differ')).toBeVisible();
    await expect(auditor.getByRole('button', { name: 'End the trial' })).toHaveCount(0);

    const page = await as('organization_admin');
    await page.goto('/policies/told-policy?tab=shadow');
    await settled(page);
    const asked = page.getByRole('dialog');
    await page.getByRole('button', { name: 'Delete' }).click();
    await expect(asked).toContainText('Version 1 is active: the calls of group Research are decided without it at once.');
    await expect(asked).toContainText('The trial of version 2 ends');
    await expect(asked).toContainText('2 versions are deleted for good.');
    await asked.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'End the trial' }).click();
    await expect(asked).toContainText('End the trial of version 2 of told-policy?');
    await asked.getByRole('button', { name: 'End the trial' }).click();
    await expect(page.getByRole('tab', { name: 'In shadow' })).toHaveCount(0);
    expect((await world.api.get(path)).shadow).toBeNull();
  } finally {
    await world.api.ask('DELETE', path);
  }
});

test('a form asks before it blocks, and before it takes out what nobody else serves', async ({ as, world }) => {
  const group = (await world.api.post('/api/v1/groups', { alias: 'Told group', organization: 'acme' })).id;
  const made = channel('Told channel', world.upstream.url);
  const declared = { ...made.declared, models: ['told-model', 'gpt-4o-mini'] };
  const id = (await world.api.post('/api/v1/channels', { ...made, declared })).id;
  try {
    await world.api.post('/api/v1/keys', { alias: 'told key', group });
    const page = await as('super_admin');
    const form = page.getByRole('dialog').first();
    const asked = page.locator('.ant-modal-confirm');
    await page.goto(`/groups/${group}`);
    await settled(page);
    await page.locator('.head').getByRole('button', { name: 'Change', exact: true }).click();
    await form.getByRole('switch', { name: /^Blocked/ }).click();
    await form.getByRole('button', { name: 'Save' }).click();
    await expect(asked).toContainText('Block Told group?');
    await expect(asked).toContainText('1 key stops working at once');
    await asked.getByRole('button', { name: 'Cancel' }).click();
    await expect(asked).toHaveCount(0);
    expect((await world.api.get(`/api/v1/groups/${group}`)).blocked).toBe(false);
    await form.getByRole('button', { name: 'Save' }).click();
    await asked.getByRole('button', { name: 'Block' }).click();
    await expect(form).toHaveCount(0);
    expect((await world.api.get(`/api/v1/groups/${group}`)).blocked).toBe(true);

    await page.goto(`/channels/${id}`);
    await settled(page);
    await page.getByRole('button', { name: 'Change', exact: true }).click();
    const row = form.locator('.model-row').filter({ has: page.locator('input[value="told-model"]') });
    await row.getByRole('button', { name: 'Remove' }).click();
    await form.getByRole('button', { name: 'Save' }).click();
    await expect(asked).toContainText('Take told-model out of Told channel?');
    await expect(asked).toContainText(/refused.*told-model/);
    await asked.getByRole('button', { name: 'Save' }).click();
    await expect(form).toHaveCount(0);
    const { models } = await world.api.get(`/api/v1/channels/${id}`);
    expect(models.map((it: { group: string }) => it.group)).toEqual(['gpt-4o-mini']);
  } finally {
    await world.api.ask('DELETE', `/api/v1/channels/${id}`);
    await world.api.ask('DELETE', `/api/v1/groups/${group}`);
  }
});
