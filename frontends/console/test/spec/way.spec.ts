// What people read is named, what a list leaves out is said and can be taken away, and the way back leads where one was.

import { readFile } from 'node:fs/promises';
import { expect, settled, test } from '../rig/test.ts';
import { channel, recorded } from '../rig/world.ts';

test('a filter that no field shows stands above the list, by name, and is taken away', async ({ as, world }) => {
  const page = await as('super_admin');
  await world.api.ask('PATCH', `/api/v1/users/${world.own.user}`, { alias: 'Ada Lovelace' });
  await page.goto(`/keys?user=${world.own.user}`);
  await settled(page);
  const keys = page.getByRole('table', { name: 'Keys' });
  await expect(keys).not.toContainText('Elsewhere key');
  await expect(page.locator('.chip')).toContainText('User: Ada Lovelace');
  await page.getByRole('button', { name: 'Clear the filter: User' }).click();
  await expect(page.locator('.chip')).toHaveCount(0);
  await expect(keys).toContainText('Elsewhere key');
  await page.goto('/groups?organization=acme');
  await expect(page.locator('.chip')).toContainText('Organization: Acme');
  await expect(page.getByRole('table', { name: 'Groups' })).toContainText('Research');
  await expect(page.getByRole('table', { name: 'Groups' })).not.toContainText('Elsewhere');
});

test('the log is filtered by a channel that is called by its name', async ({ as, world }) => {
  const page = await as('super_admin');
  await page.goto('/requests');
  await page.getByRole('combobox', { name: 'Channel' }).fill('First');
  await page.locator('.ant-select-item-option').filter({ hasText: 'First channel' }).click();
  await expect(page).toHaveURL(new RegExp(`channel=${world.channel}`));
  await page.reload();
  await settled(page);
  await expect(page.locator('.ant-select').filter({ hasText: 'First channel' })).toBeVisible();
});

test('the way back from a call leads to where the log stood', async ({ as, world }) => {
  const page = await as('super_admin');
  const one = (await world.api.get('/api/v1/records?limit=1')).items[0];
  const items = Array.from({ length: 400 }, (_, index) => ({ ...one, call: `${one.call}-${index}` }));
  await page.route(/\/api\/v1\/records\?/, (route) => {
    const from = Number(new URL(route.request().url()).searchParams.get('cursor') ?? 0);
    const next = from + 200 < items.length ? String(from + 200) : null;
    return route.fulfill({ json: { items: items.slice(from, from + 200), total: items.length, next } });
  });
  await page.route(/\/api\/v1\/records\/call/, (route) => route.fulfill({ json: { record: one, amendments: [], spend: one.spend } }));
  await page.goto('/requests?group=any');
  await settled(page);
  const log = page.getByRole('table', { name: 'Requests' });
  const top = () => log.evaluate((it) => it.scrollTop);
  for (const back of [() => page.goBack(), () => page.getByRole('link', { name: '← Requests' }).click()]) {
    await log.evaluate((it) => it.scrollTo({ top: 5000 }));
    await expect(page.getByRole('row').filter({ has: page.locator(`a[href$="-115"]`) })).toBeVisible();
    await page.locator(`a[href$="-115"]`).click();
    await expect(page.getByRole('heading', { level: 1, name: one.model })).toBeVisible();
    await back();
    await expect(page).toHaveURL(/\/requests\?group=any$/);
    await expect.poll(top).toBe(5000);
  }
});

test('a name that could not be read is asked for again', async ({ as }) => {
  const page = await as('super_admin');
  await page.clock.install();
  await page.route(/\/api\/v1\/keys\?limit=500$/, (route) => route.fulfill({ json: { items: [], total: 900 } }));
  let broken = true;
  await page.route(/\/api\/v1\/keys\/[^/?]+$/, (route) =>
    broken ? route.fulfill({ status: 500, json: { error: { message: 'not now', type: 'server_error' } } }) : route.fallback(),
  );
  const asked = page.waitForResponse((it) => it.status() === 500);
  await page.goto('/requests');
  await page.clock.runFor(1_000);
  await asked;
  await expect(page.getByRole('table', { name: 'Requests' })).not.toContainText('Research key');
  broken = false;
  await page.clock.runFor(40_000);
  await expect(page.getByRole('table', { name: 'Requests' })).toContainText('Research key');
});

test('the trail names who did it, and to what', async ({ as, world }) => {
  await world.api.ask('PATCH', `/api/v1/users/${world.own.user}`, { alias: 'Ada Lovelace' });
  const page = await as('super_admin');
  await page.goto('/audit');
  await settled(page);
  const trail = page.getByRole('table', { name: 'Audit' });
  await expect(trail).toContainText('User Ada Lovelace');
  await expect(trail).not.toContainText(world.own.key);
  // What was done first is no longer among the newest.
  await page.goto('/audit?target=organization%20acme');
  await expect(trail).toContainText('Organization Acme');
  await page.goto(`/audit?group=${world.own.group}`);
  await expect(trail).toContainText('Member added');
  await page.getByRole('combobox', { name: 'Action' }).fill('Key created');
  await page.getByTitle('Key created', { exact: true }).click();
  await expect(page).toHaveURL(/action=key\.create/);
  await expect(trail).not.toContainText('Member added');
  const zh = await as('super_admin', { language: 'zh' });
  await zh.goto('/audit?action=member.');
  await expect(zh.getByRole('table', { name: '审计' })).toContainText('添加成员');
  await expect(zh.getByRole('table', { name: '审计' })).not.toContainText('member.add');
});

test('what a call cost is shown kind by kind, in the currency of its price, and less the discount', async ({ as, world }) => {
  const made = channel('Priced in yuan', world.upstream.url);
  const price = { input: 7_200_000, output: 14_400_000, more: { exchange: { currency: 'CNY', per_usd_ppm: 7_200_000 } } };
  const models = [{ group: 'yuan-model', upstream: 'gpt-4o-mini', price }];
  const id = (await world.api.post('/api/v1/channels', { ...made, declared: { ...made.declared, models: ['yuan-model'] } })).id;
  const patched = await world.api.ask('PATCH', `/api/v1/channels/${id}`, { models });
  expect(patched.status, JSON.stringify(patched.json)).toBe(200);
  const group = (await world.api.post('/api/v1/groups', { alias: 'Discounted', price_ratio_ppm: 800_000 })).id;
  const key = await world.api.post('/api/v1/keys', { alias: 'discounted', group });
  const { Api } = await import('../rig/api.ts');
  await new Api(world.gateway.url, key.secret).chat('yuan-model', 'hello');
  const call = (await recorded(world.api, key.key.id, 1))[0]?.call;
  const { record } = await world.api.get(`/api/v1/records/${call}`);
  const page = await as('super_admin');
  await page.goto(`/requests/${call}`);
  await settled(page);
  const table = page.locator('.ant-table-wrapper').filter({ has: page.getByRole('table', { name: 'Tokens and cost' }) });
  const input = table.getByRole('row', { name: /^Input/ });
  await expect(input).toContainText(String(record.usage.input_uncached));
  await expect(input).toContainText('¥7.20 / 1M');
  await expect(table).toContainText('At 1 USD = 7.2 CNY');
  await expect(table).toContainText('Discount of the group× 0.8');
  await expect(table).toContainText('Charged$0.0000');
  await world.api.ask('DELETE', `/api/v1/channels/${id}`);
});

test('what a table leaves out is chosen from a menu, and stays chosen', async ({ as }) => {
  const page = await as('super_admin');
  await page.goto('/usage');
  await settled(page);
  const column = page.getByRole('columnheader', { name: 'Cost' });
  await expect(column).toHaveCount(0);
  await page.getByRole('button', { name: 'Columns' }).click();
  await page.getByRole('checkbox', { name: 'Cost' }).check();
  await expect(column).toBeVisible();
  await page.reload();
  await expect(column).toBeVisible();
  for (const [path, more, less] of [
    ['/keys', 'Created', 'Models'],
    ['/users', 'Failed', 'Role'],
    ['/channels', 'Tokens', 'Weight'],
    ['/requests', 'User', 'Tokens'],
  ]) {
    await page.goto(path ?? '');
    await settled(page);
    const head = (name = '') => page.getByRole('columnheader', { name, exact: true });
    await expect(head(more)).toHaveCount(0);
    await page.getByRole('button', { name: 'Columns' }).click();
    await page.getByRole('checkbox', { name: more, exact: true }).check();
    await page.getByRole('checkbox', { name: less, exact: true }).uncheck();
    await expect(head(more)).toBeVisible();
    await page.reload();
    await expect(head(more)).toBeVisible();
    await expect(head(less)).toHaveCount(0);
  }
});

test('the trail comes a page at a time, each with an address of its own, and what is open in it stays open', async ({ alone, begun }) => {
  const { api, page } = await begun(await alone());
  for (let n = 0; n < 120; n++) await api.post('/api/v1/organizations', { id: `o-${n}` });
  await page.goto('/audit?action=organization.create');
  await settled(page);
  const rows = page.getByRole('table', { name: 'Audit' }).locator('tbody tr.ant-table-row');
  await expect(rows).toHaveCount(100);
  await expect(rows.first()).toContainText('o-119');
  await page.getByRole('button', { name: 'Older' }).click();
  await expect(rows).toHaveCount(20);
  await expect(rows.last()).toContainText('o-0');
  await expect(page.getByRole('button', { name: 'Older' })).toBeDisabled();
  await rows.last().getByRole('button', { name: 'Expand row' }).click();
  await page.reload();
  await expect(rows).toHaveCount(20);
  await expect(page.locator('.ant-table-expanded-row pre')).toContainText('"id": "o-0"');
  await page.goBack();
  await page.goBack();
  await expect(rows.first()).toContainText('o-119');
  await page.goForward();
  await page.getByRole('button', { name: 'Newest' }).click();
  await expect(rows.first()).toContainText('o-119');
});

test('use is compared with the time before, or with any other', async ({ as }) => {
  const page = await as('super_admin');
  await page.goto('/usage?from=2026-10-01&to=2026-10-31');
  const against = page.getByTestId('against');
  await expect(against).toContainText('against $0.00 from Aug 31, 2026 to Sep 30, 2026');
  const began = page.getByRole('textbox', { name: 'Compared with the time from' });
  await began.click();
  await page.getByText('A year earlier').click();
  await expect(against).toContainText('from Oct 1, 2025 to Oct 31, 2025');
  await expect(page).toHaveURL(/than=2025-10-01/);
  await page.reload();
  await expect(began).toHaveValue('2025-10-01');
  // The time before isn't written into the address.
  await began.click();
  await page.getByText('The time before').click();
  await expect(page).not.toHaveURL(/than=/);
});

test('use is handed over as a file with names, in the zone and the currency of whoever asks', async ({ as, world }) => {
  const page = await as('super_admin');
  await page.addInitScript(() =>
    localStorage.setItem(
      'sluicegate.preference',
      JSON.stringify({ language: 'zh', zone: 'Asia/Shanghai', currency: 'CNY', rate: 7 }),
    ),
  );
  await page.goto('/usage?by=group&and=model');
  await settled(page);
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'CSV' }).click();
  const file = await download;
  expect(file.suggestedFilename()).toMatch(/^usage-.*\.csv$/);
  const text = await readFile(await file.path(), 'utf8');
  const [head = '', ...lines] = text.trim().split('\r\n');
  expect(head).toContain('"开始（Asia/Shanghai）","结束（Asia/Shanghai）","分组","分组 ID","模型"');
  expect(head).toContain('费用（CNY）');
  expect(lines.some((it) => it.includes(`"Research","${world.own.group}"`))).toBe(true);
});
