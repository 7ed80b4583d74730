// Where the way back leads, what stays where it is while it is read, and what is told in the reader's words.

import { Api } from '../rig/api.ts';
import { expect, settled, test } from '../rig/test.ts';

test('the way back closes a form that was opened, and undoes a choice', async ({ as }) => {
  const page = await as('super_admin');
  await page.goto('/overview');
  await settled(page);
  await page.getByRole('link', { name: 'Keys', exact: true }).click();
  await settled(page);
  await page.getByRole('button', { name: 'New key' }).click();
  await expect(page.getByRole('dialog')).toBeVisible();
  await page.goBack();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(page).toHaveURL(/\/keys$/);
  await page.goto('/requests');
  await settled(page);
  await page.getByRole('combobox', { name: 'Outcome' }).click();
  await page.locator('.ant-select-item-option').nth(1).click();
  await expect(page).toHaveURL(/status=failed/);
  await page.goBack();
  await expect(page).toHaveURL(/\/requests$/);
});

test('calls that come in do not move what is read, and are counted', async ({ as, world }) => {
  await world.api.post(`/api/v1/channels/${world.channel}/mend`, {});
  const page = await as('super_admin');
  const one = (await world.api.get('/api/v1/records?limit=1')).items[0];
  const items = Array.from({ length: 200 }, (_, index) => ({ ...one, call: `${one.call}-${index}` }));
  await page.route(/\/api\/v1\/records\?/, (route) => route.fulfill({ json: { items, total: items.length, next: null } }));
  const listening = page.waitForResponse(/\/records\/tail/);
  await page.goto('/requests?live=1');
  await settled(page);
  await listening;
  const log = page.getByRole('table', { name: 'Requests' });
  await log.evaluate((it) => it.scrollTo({ top: 440 }));
  const read = page.locator('a[href$="-12"]');
  await expect(read).toBeVisible();
  const at = await read.boundingBox();
  const caller = new Api(world.gateway.url, world.secret);
  for (let call = 0; call < 2; call++) await caller.chat('gpt-4o-mini', 'hello');
  const more = page.getByRole('button', { name: '2 new' });
  await expect(more).toBeVisible();
  expect((await read.boundingBox())?.y).toBe(at?.y);
  await more.click();
  await expect(more).toHaveCount(0);
  expect(await log.evaluate((it) => it.scrollTop)).toBe(0);
});

test('a preference is chosen, and one that matches nothing is told of', async ({ as, world }) => {
  const { id } = await world.api.post('/api/v1/groups', { alias: 'Choosy', organization: 'acme', preferences: [{ tag: 'in-hosue' }] });
  const page = await as('super_admin');
  await page.goto(`/groups/${id}`);
  await page.locator('.head').getByRole('button', { name: 'Change', exact: true }).click();
  const form = page.getByRole('dialog').first();
  await expect(form.getByRole('alert')).toContainText('This matches no channel. Tag: in-hosue.');
  await form.getByRole('combobox', { name: 'What it is' }).click();
  await page.locator('.ant-select-item-option').filter({ hasText: 'Channel' }).click();
  await form.getByRole('combobox', { name: 'Channel' }).fill('First');
  await page.locator('.ant-select-item-option').filter({ hasText: 'First channel' }).click();
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form).toHaveCount(0);
  expect((await world.api.get(`/api/v1/groups/${id}`)).preferences).toEqual([{ channel: world.channel }]);
  await expect(page.getByText('Channel First channel')).toBeVisible();
  await world.api.ask('DELETE', `/api/v1/groups/${id}`);
});

test('hundreds of models are added to a channel at once, and few of them are in the page', async ({ as }) => {
  const page = await as('super_admin');
  await page.goto('/channels?create=1');
  const form = page.getByRole('dialog').first();
  await form.getByLabel('Provider').fill('OpenRouter');
  await page.locator('.ant-select-item-option').first().click();
  const sent = page.waitForRequest((it) => it.method() === 'POST' && /\/api\/v1\/channels$/.test(it.url()));
  await page.route(/\/api\/v1\/channels$/, (route) =>
    route.request().method() === 'POST' ? route.fulfill({ status: 400, json: { error: { message: 'no', param: null } } }) : route.continue(),
  );
  await form.getByRole('button', { name: /^Add all/ }).click();
  await expect(form.locator('.model-row')).toHaveCount(20);
  const all = Number((await form.getByText(/in all$/).innerText()).split(' ')[0]);
  expect(all).toBeGreaterThan(100);
  await form.getByTitle('2', { exact: true }).click();
  await form.getByLabel('Upstream name').first().fill('another');
  await form.getByLabel('Credential').fill('sk-none');
  await form.getByRole('button', { name: 'Create' }).click();
  const { models } = (await sent).postDataJSON().declared;
  expect(models.length).toBe(all);
  expect(models[20].upstream).toBe('another');
});

test('a row that is open, an order and a comparison stand in the address, and the way back undoes them', async ({ as, world }) => {
  for (const text of ['fn route(call) {}', 'fn route(call) { prefer("tag:large"); }'])
    await world.api.put('/api/v1/policies/compared', { text });
  const page = await as('super_admin');
  await page.goto('/models');
  await settled(page);
  const row = page.getByRole('row').filter({ hasText: 'gpt-4o-mini' }).first();
  await row.getByRole('button').first().click();
  await expect(page).toHaveURL(/open=gpt-4o-mini/);
  const graph = page.getByRole('list', { name: 'Where its calls go' });
  await expect(graph).toHaveCount(1);
  await page.reload();
  await expect(graph).toHaveCount(1);
  await page.goBack();
  await expect(graph.filter({ visible: true })).toHaveCount(0);

  await page.goto('/usage?by=model');
  await settled(page);
  const head = page.getByRole('columnheader', { name: /Requests/ });
  await head.click();
  await expect(page).toHaveURL(/sort=requests/);
  await head.click();
  await expect(page).toHaveURL(/sort=-requests/);
  await page.reload();
  await expect(head).toHaveAttribute('aria-sort', 'descending');
  await page.goBack();
  await expect(head).toHaveAttribute('aria-sort', 'ascending');
  await page.goBack();
  await expect(page).toHaveURL(/by=model$/);
  await expect(head).not.toHaveAttribute('aria-sort', /.+/);

  await page.goto('/policies/compared?tab=versions');
  await page.getByRole('row').filter({ has: page.getByRole('link', { name: '2', exact: true }) }).getByRole('button', { name: 'Compare' }).click();
  await expect(page).toHaveURL(/diff=1\.\.2/);
  const diff = page.getByRole('dialog');
  await expect(diff).toContainText('prefer("tag:large")');
  await page.reload();
  await expect(diff).toContainText('prefer("tag:large")');
  await page.goBack();
  await expect(diff).toHaveCount(0);
  await world.api.ask('DELETE', '/api/v1/policies/compared');
});
