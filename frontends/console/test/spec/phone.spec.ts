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
