// Fields that name things which exist.

import { expect, settled, test } from '../rig/test.ts';

test('Enter in a field of names takes what was typed, and nothing that an earlier text found', async ({ as, world }) => {
  const page = await as('super_admin');
  let asked = 0;
  let release = () => {};
  const held = new Promise<void>((done) => {
    release = done;
  });
  await page.route(/\/api\/v1\/users\?.*search=/, async (route) => {
    asked += 1;
    await held;
    await route.continue();
  });
  // It is for others: nobody is in the field yet.
  await page.goto(`/keys?create=1&group=${world.own.group}`);
  await settled(page);
  const form = page.getByRole('dialog');
  const field = form.getByRole('combobox', { name: 'User', exact: true });
  const chosen = form.locator('.ant-form-item', { has: page.getByRole('combobox', { name: 'User', exact: true }) });
  await field.click();
  const options = page.locator('.ant-select-dropdown:visible .ant-select-item-option');
  await expect(options.first()).toBeVisible();
  await field.pressSequentially('auditor');
  await expect.poll(() => asked).toBeGreaterThan(0);
  await expect(options).toHaveCount(0);
  await page.keyboard.press('Enter');
  release();
  await expect(options.first()).toContainText('auditor');
  await page.keyboard.press('Enter');
  await expect(chosen).toContainText('auditor');
  expect(asked).toBeLessThan('auditor'.length);
});

test('where an id may be typed it is chosen as it is, while nothing is found, and beside whoever is', async ({ as, world }) => {
  const page = await as('super_admin');
  let release = () => {};
  const held = new Promise<void>((done) => {
    release = done;
  });
  await page.route(/\/api\/v1\/users\?.*search=/, async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`/groups/${world.own.group}`);
  await settled(page);
  await page.getByRole('button', { name: 'Add a member' }).click();
  const form = page.getByRole('dialog');
  const field = form.getByRole('combobox', { name: '* User', exact: true });
  const chosen = form.locator('.ant-form-item', { has: page.getByRole('combobox', { name: '* User', exact: true }) });
  await field.click();
  await field.pressSequentially('auditor');
  await page.keyboard.press('Enter');
  await expect(field).toHaveValue('');
  await expect(chosen).toContainText('auditor');
  release();
  // Whoever is found stands behind what was typed.
  await field.click();
  await field.pressSequentially('audit');
  const options = page.locator('.ant-select-dropdown:visible .ant-select-item-option');
  await expect(options.nth(1)).toContainText('auditor');
  await expect(options.first()).toHaveText('audit');
});
