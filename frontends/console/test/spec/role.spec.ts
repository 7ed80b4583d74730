// Whoever is signed in finds every page that the console offers them in order, and is offered none that the server refuses.

import { expect, settled, test } from '../rig/test.ts';
import { ROLES, type Role } from '../rig/world.ts';

/** Pages that only some are offered. */
const OFFERED: Record<Role, { some: string[]; none: string[] }> = {
  super_admin: { some: ['Channels', 'System', 'Users', 'Audit'], none: [] },
  organization_admin: { some: ['Users', 'Groups', 'Audit'], none: ['Channels', 'System'] },
  group_admin: { some: ['Users', 'Groups', 'Audit'], none: ['Channels', 'System'] },
  user: { some: ['Keys', 'Groups', 'Requests', 'Playground'], none: ['Channels', 'System', 'Users', 'Audit'] },
  auditor: { some: ['Users', 'Groups', 'Audit'], none: ['Channels', 'System'] },
};

for (const role of ROLES) {
  test(`the pages of a ${role}`, async ({ as }) => {
    test.setTimeout(120_000);
    const page = await as(role);
    const refused: string[] = [];
    page.on('response', (answer) => {
      if (answer.status() >= 400) refused.push(`${answer.status()} ${new URL(answer.url()).pathname}`);
    });
    await page.goto('/overview');
    await settled(page);
    const links = page.getByRole('navigation').getByRole('listitem').getByRole('link');
    const names = await links.allInnerTexts();
    expect(names).toEqual(expect.arrayContaining(OFFERED[role].some));
    for (const name of OFFERED[role].none) expect(names).not.toContain(name);
    for (const name of names) {
      await page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
      await expect(page.getByRole('heading', { level: 1, name, exact: true })).toBeVisible();
      await settled(page);
      await expect(page.locator('main .ant-alert-error, main .notice-bad, main .verdict')).toHaveCount(0);
    }
    expect(refused).toEqual([]);
  });
}
