// Whose calls a policy steers: where it may stand.

import { expect, test } from '../rig/test.ts';

test('a policy is begun where its author may put it', async ({ as, world }) => {
  const path = '/api/v1/policies/whose-own';
  try {
    const admin = await as('organization_admin');
    await admin.goto('/policies/whose-own?new=1');
    await expect(admin.getByText('Passes', { exact: true })).toBeVisible();
    await expect(admin.getByRole('alert')).toHaveCount(0);
    await admin.getByRole('button', { name: 'Save as a version' }).click();
    await expect(admin).toHaveURL(/tab=versions/);
    const made = await world.api.get(path);
    expect([made.organization, made.group, made.key]).toEqual(['acme', null, null]);

    const group = await as('group_admin');
    await group.goto('/policies/whose-group?new=1');
    await expect(group.getByText('Passes', { exact: true })).toBeVisible();
    await expect(group.getByRole('alert')).toHaveCount(0);
    await expect(group.locator('.ant-select').filter({ hasText: 'Research' }).first()).toBeVisible();
  } finally {
    await world.api.ask('DELETE', path);
  }
});
