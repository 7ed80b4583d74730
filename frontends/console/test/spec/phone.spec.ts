// On a phone nothing stands beside the page, and what is wider than it scrolls in itself.

import { expect, settled, test } from '../rig/test.ts';

test('every page fits a phone', async ({ as, world }) => {
  test.setTimeout(120_000);
  const page = await as('super_admin');
  await page.setViewportSize({ width: 390, height: 844 });
  const { own } = world;
  const wide: string[] = [];
  for (const address of [
    '/overview',
    '/usage',
    '/requests',
    `/requests/${own.call}`,
    '/playground',
    '/keys',
    `/keys/${own.key}`,
    '/keys?create=1',
    `/groups/${own.group}`,
    `/users/${own.user}`,
    '/organizations',
    '/channels',
    '/models',
    '/policies',
    '/audit',
    '/system',
    '/account',
  ]) {
    await page.goto(address);
    await settled(page);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > 390) wide.push(`${address} is ${width} pixels wide`);
  }
  expect(wide).toEqual([]);
});

test('on a phone a channel says how it does under its name, and the filters of the log are folded', async ({ as }) => {
  const page = await as('super_admin');
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto('/channels');
  await settled(page);
  const name = page.getByRole('row', { name: /First channel/ }).getByRole('cell').nth(1);
  await expect(name.locator('.tag').last()).toHaveText(/Healthy|Cooling down|failing|failure/i);
  await page.goto('/requests');
  await settled(page);
  const model = page.getByRole('textbox', { name: 'Model' });
  await expect(model).toBeHidden();
  await page.getByRole('button', { name: 'Filters (0 set)' }).click();
  await expect(model).toBeVisible();
});
