// The console without a pointer.

import { expect, settled, test } from '../rig/test.ts';

test('pages are reached, begun in and left by keys alone', async ({ as }) => {
  const page = await as('super_admin');
  await page.goto('/overview');
  await settled(page);
  const focused = page.locator(':focus');
  await page.keyboard.press('Tab');
  await expect(focused).toHaveText('Skip to the page');
  await page.keyboard.press('Enter');
  await expect(focused).toHaveAttribute('id', 'page');
  // Where one goes is what the next key is for.
  await page.getByRole('link', { name: 'Keys', exact: true }).focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'Keys' })).toBeVisible();
  await expect(focused).toHaveAttribute('id', 'page');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('new gr');
  await expect(page.getByRole('option', { selected: true })).toContainText('New group');
  await page.keyboard.press('Enter');
  const form = page.getByRole('dialog', { name: 'New group' });
  await form.getByLabel('Name').fill('By keys');
  await page.keyboard.press('Control+Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'By keys' })).toBeVisible();
  await page.getByRole('button', { name: 'Change: Name' }).focus();
  await page.keyboard.press('Enter');
  await page.keyboard.type('Otherwise');
  await page.keyboard.press('Escape');
  await expect(page.getByRole('heading', { level: 1, name: 'By keys' })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole('heading', { level: 1, name: 'Groups' })).toBeVisible();
});

test('a call is found by its id', async ({ as, world }) => {
  const page = await as('super_admin');
  await page.goto('/overview');
  await settled(page);
  await page.keyboard.press('Control+k');
  await page.keyboard.type(world.own.call);
  await expect(page.getByRole('option', { selected: true })).toContainText(world.own.call);
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(new RegExp(`/requests/${world.own.call}$`));
  await expect(page.getByRole('main')).toContainText(world.own.call);
});
