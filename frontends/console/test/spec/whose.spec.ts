// Whose calls a policy steers: where it may stand, and what its replay asks of.

import { expect, settled, test } from '../rig/test.ts';

test('a draft of a group is replayed for that group alone', async ({ as, world }) => {
  const path = '/api/v1/policies/whose-replay';
  await world.api.put(path, { text: 'fn admit(call) { deny("shut"); }', group: world.own.group });
  try {
    const page = await as('super_admin');
    await page.goto('/policies/whose-replay');
    await settled(page);
    const answered = page.waitForResponse((it) => /\/replay$/.test(it.url()) && it.request().method() === 'POST');
    await page.getByRole('button', { name: 'Replay', exact: true }).click();
    const answer = await answered;
    expect(answer.status()).toBe(200);
    type Row = { value: string; recorded: { denied: number }; replayed: { denied: number } };
    const rows: Row[] = (await answer.json()).by.group;
    const of = (group: string) => rows.find((it) => it.value === group);
    expect(of(world.own.group)?.replayed.denied).toBeGreaterThanOrEqual(2);
    const other = of(world.foreign.group);
    expect(other).toBeDefined();
    expect(other?.replayed.denied).toBe(other?.recorded.denied);
    // It stays where it is, and whoever may read it sees where.
    for (const role of ['super_admin', 'auditor'] as const) {
      const reader = await as(role);
      await reader.goto('/policies/whose-replay');
      await settled(reader);
      await expect(reader.locator('main').getByRole('link', { name: 'Research', exact: true })).toBeVisible();
      for (const name of ['Organization', 'Key']) {
        await expect(reader.locator('main').getByRole('combobox', { name, exact: true })).toHaveCount(0);
      }
    }
  } finally {
    await world.api.ask('DELETE', path);
  }
});

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
