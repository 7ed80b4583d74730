// Whether what is shown is there: a gateway that is down, pages and versions that aren't, sums that nobody keeps.

import { expect, settled, test } from '../rig/test.ts';

test('a gateway that is down is called so, not another version of the console, and comes back', async ({ as }) => {
  const page = await as('super_admin');
  await page.goto('/overview');
  await settled(page);
  await page.route(/^http/, (route) => route.abort('connectionrefused'));
  await page.getByRole('link', { name: 'Audit', exact: true }).click();
  await expect(page.getByText("The gateway can't be reached").last()).toBeVisible();
  await expect(page.getByText('The console was updated')).toHaveCount(0);
  await page.unroute(/^http/);
  await page.getByRole('button', { name: 'Try again' }).last().click();
  await expect(page.getByRole('heading', { level: 1, name: 'Audit' })).toBeVisible();
});

test('a part that is gone while the gateway answers is of another version', async ({ as }) => {
  const page = await as('super_admin');
  await page.goto('/overview');
  await settled(page);
  await page.route(/assets\/audit-/, (route) => route.fulfill({ status: 404, body: '' }));
  await page.getByRole('link', { name: 'Audit', exact: true }).click();
  await expect(page.getByText('The console was updated')).toBeVisible();
});

test("the first administrator's key that is wrong ends no session", async ({ visitor, alone }) => {
  const gateway = await alone();
  const page = await visitor(gateway.url);
  await page.goto('/setup');
  await page.getByLabel("Administrator's key").fill('sk-wrong-0123456789');
  await page.getByLabel('Your e-mail address').fill('a@example.com');
  for (const name of ['Password', 'Repeat the password']) await page.getByLabel(name, { exact: true }).fill('walrus teapot octave 93');
  await page.getByRole('button', { name: 'Create the administrator' }).click();
  await expect(page.getByRole('alert')).toContainText("isn't known here");
});

test('a page behind the last one, a version and a tab that are not there say so', async ({ as }) => {
  const page = await as('super_admin');
  await page.goto('/keys?page=99');
  await expect(page.getByText("The list doesn't go on to this page.")).toBeVisible();
  await page.getByRole('button', { name: 'To the first page' }).click();
  await expect(page.getByRole('table', { name: 'Keys' })).toContainText('Research key');
  await page.goto('/policies/quiet?version=99');
  await expect(page.getByRole('alert')).toContainText('99');
  await expect(page.locator('.cm-content')).toHaveCount(0);
  await page.getByRole('button', { name: 'Show the newest version' }).click();
  await expect(page.locator('.cm-content')).toContainText('90_000');
  await page.goto('/policies/quiet?tab=zzz');
  await expect(page.locator('.cm-content')).toBeVisible();
});

test('sums that are not kept are not offered, and where they are asked for all the same nothing is called unused', async ({ as }) => {
  const page = await as('super_admin');
  await page.goto('/usage?by=tag');
  await settled(page);
  await expect(page.getByText("End customers and tags aren't told apart together")).toBeVisible();
  await page.getByRole('combobox', { name: 'and', exact: true }).click();
  await expect(page.locator('.ant-select-item-option-disabled')).toHaveText('End customer');
  await page.goto('/usage?by=tag&and=customer');
  await expect(page.getByRole('alert').first()).toContainText('not by both');
  await expect(page.getByText('Nothing was used')).toHaveCount(0);
});

test("Enter goes to what was typed, however late it is found, and not to what an earlier text found", async ({ as }) => {
  const page = await as('super_admin');
  await page.goto('/overview');
  await settled(page);
  await page.keyboard.press('Control+k');
  await page.keyboard.type('Research key');
  await expect(page.getByRole('option').filter({ hasText: 'Research key' })).toBeVisible();
  let asked = 0;
  await page.route(/\/api\/v1\/keys\?/, async (route) => {
    asked += 1;
    await new Promise((done) => setTimeout(done, 600));
    await route.continue().catch(() => {});
  });
  await page.keyboard.press('Control+a');
  await page.keyboard.type('Elsewhere key', { delay: 10 });
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'Elsewhere key' })).toBeVisible();
  expect(asked).toBeLessThanOrEqual(2);
});
