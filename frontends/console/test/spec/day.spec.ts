// What is done in a day, by whoever does it, against the real gateway: each from where it begins to what a caller then finds.

import { readFile } from 'node:fs/promises';
import type { Locator, Page } from '@playwright/test';
import { Api } from '../rig/api.ts';
import { codeOf } from '../rig/code.ts';
import { startUpstream, UPSTREAM_KEY } from '../rig/process.ts';
import { expect, settled, test } from '../rig/test.ts';
import { channel, PASSWORD, person, recorded, signIn } from '../rig/world.ts';


/** Chooses from a list that opens. */
async function choose(page: Page, field: Locator, option: string) {
  await field.click();
  // Some are searched, some are only opened.
  if (await field.isEditable()) await field.fill(option);
  const list = page.locator('.ant-select-dropdown:not(.ant-select-dropdown-hidden) .ant-select-item-option');
  await list.filter({ hasText: option }).first().click();
}

/** Other stories call what fails, and the channel rests for it. */
test.beforeEach(({ world }) => world.api.post(`/api/v1/channels/${world.channel}/mend`, {}));

const change = (page: Page) => page.locator('.head').getByRole('button', { name: 'Change', exact: true }).click();
const secretOf = async (page: Page) => (await page.getByTestId('secret').locator('pre').innerText()).trim();
const confirmed = (page: Page, action: string) => page.getByRole('dialog').getByRole('button', { name: action, exact: true }).click();

test('the day of an organization admin: a group with a budget, somebody in it, their key, what it spent, and an end to it', async ({ as, world }) => {
  test.setTimeout(120_000);
  const page = await as('organization_admin');
  const sheet = page.getByRole('dialog');
  const create = () => sheet.getByRole('button', { name: 'Create', exact: true }).click();
  await page.goto('/groups');
  await page.getByRole('button', { name: 'New group' }).click();
  // Whose it is isn't asked of who has one organization.
  await expect(sheet.getByLabel('Organization')).toHaveCount(0);
  await sheet.getByLabel('Name', { exact: true }).fill('Translation');
  await sheet.getByRole('button', { name: 'Add a limit' }).click();
  await choose(page, sheet.getByLabel('What is limited'), 'Spend');
  await sheet.getByLabel('Amount').fill('5');
  await create();
  await expect(page.getByRole('heading', { name: 'Translation' })).toBeVisible();
  await expect(page.locator('main')).toContainText('$0.00 / $5.00');
  const group = page.url();

  await page.goto('/users?create=1');
  await sheet.getByLabel('E-mail address').fill('grace@acme.example');
  await sheet.getByLabel('Name', { exact: true }).fill('Grace');
  await create();
  await page.getByRole('button', { name: 'Add to a group' }).first().click();
  await choose(page, sheet.getByLabel('Group', { exact: true }), 'Translation');
  await sheet.getByRole('button', { name: /^(Add|Create)$/ }).click();
  await expect(page.locator('main').getByRole('link', { name: 'Translation' })).toBeVisible();

  await page.goto('/keys?create=1');
  await sheet.getByLabel('Alias').fill('Grace at work');
  await choose(page, sheet.getByLabel('Group', { exact: true }), 'Translation');
  await choose(page, sheet.getByLabel('User', { exact: true }), 'Grace');
  await create();
  const caller = new Api(world.gateway.url, await secretOf(page));
  await page.getByRole('button', { name: 'I have saved it' }).click();
  expect((await caller.chat('gpt-4o-mini', 'hello')).status).toBe(200);

  await page.goto('/usage?by=group&and=user');
  await expect(page.getByRole('row').filter({ hasText: 'Translation' })).toContainText('Grace');
  await page.goto(group);
  await page.getByRole('button', { name: 'Block', exact: true }).click();
  await expect(sheet).toContainText('1 key stops working at once');
  await confirmed(page, 'Block');
  await expect(page.locator('.head')).toContainText('Blocked');
  await expect.poll(async () => (await caller.chat('gpt-4o-mini', 'hello')).status).toBe(403);
  await page.goto('/audit');
  await expect(page.getByRole('table', { name: 'Audit' })).toContainText('Group Translation');
});

test('the day of a group admin: a member with a limit of their own, a key for them, and why it was refused', async ({ as, world }) => {
  test.setTimeout(120_000);
  await person(world.api, 'first-day', 'user', 'acme');
  const page = await as('group_admin');
  const sheet = page.getByRole('dialog');
  await page.goto('/groups');
  await page.getByRole('link', { name: 'Research' }).click();
  // What the group may spend is its organization's to say; who is in it is theirs.
  await expect(page.getByRole('heading', { name: 'Research' })).toBeVisible();
  await expect(page.locator('.head').getByRole('button', { name: 'Change', exact: true })).toHaveCount(0);
  await page.getByRole('button', { name: 'Add a member' }).click();
  await choose(page, sheet.getByLabel('User', { exact: true }), 'first-day');
  await sheet.getByRole('button', { name: 'Add a limit' }).click();
  await choose(page, sheet.getByLabel('What is limited'), 'Requests');
  await sheet.getByLabel('Amount').fill('1');
  await sheet.getByRole('button', { name: /^(Add|Create)$/ }).click();
  const members = page.getByRole('table', { name: 'Members' });
  await expect(members).toContainText('first-day');

  await page.goto(`/keys?group=${encodeURIComponent(world.own.group)}&create=1`);
  await sheet.getByLabel('Alias').fill('first steps');
  await choose(page, sheet.getByLabel('User', { exact: true }), 'first-day');
  await sheet.getByRole('button', { name: 'Create', exact: true }).click();
  const caller = new Api(world.gateway.url, await secretOf(page));
  await page.getByRole('button', { name: 'I have saved it' }).click();
  expect((await caller.chat('gpt-4o-mini', 'hello')).status).toBe(200);
  expect((await caller.chat('gpt-4o-mini', 'hello')).status).toBe(429);

  await page.goto('/requests?status=denied');
  await page.getByRole('row').filter({ hasText: 'first steps' }).getByRole('link').first().click();
  await expect(page.getByRole('list', { name: 'Why it went there' })).toContainText('of 1 used');
  await page.goto(`/groups/${world.own.group}`);
  await members.getByRole('row').filter({ hasText: 'first-day' }).getByRole('button', { name: 'Remove' }).click();
  await confirmed(page, 'Remove');
  await expect(members).not.toContainText('first-day');
  await expect.poll(async () => (await caller.chat('gpt-4o-mini', 'hello')).status).not.toBe(429);
});

test('a key is rotated with a time of grace and without, and ends', async ({ as, world }) => {
  const made = await world.api.post('/api/v1/keys', { alias: 'rotated', group: world.own.group, user: world.own.user });
  const status = async (secret: string) => (await new Api(world.gateway.url, secret).chat('gpt-4o-mini', 'hello')).status;
  const page = await as('organization_admin');
  const rotate = async (grace?: string) => {
    await page.getByRole('button', { name: 'Rotate', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'Rotate rotated' });
    if (grace) {
      await dialog.getByLabel('The old secret works for').click();
      await page.locator('.ant-select-item-option').filter({ hasText: grace }).click();
    }
    await dialog.getByRole('button', { name: 'Rotate' }).click();
    const secret = await secretOf(page);
    await page.getByRole('button', { name: 'I have saved it' }).click();
    return secret;
  };
  await page.goto(`/keys/${made.key.id}`);
  const second = await rotate();
  expect([await status(made.secret), await status(second)]).toEqual([200, 200]);
  const third = await rotate('It ends now');
  await expect.poll(() => status(second)).toBe(401);
  expect(await status(third)).toBe(200);

  await change(page);
  const sheet = page.getByRole('dialog');
  await sheet.getByLabel('Expires').fill('2020-01-31 12:00:00');
  // It takes what was typed, and sends the form.
  await sheet.getByLabel('Expires').press('Enter');
  await expect(sheet).toHaveCount(0);
  await expect(page.locator('.head')).toContainText('Expired');
  await expect.poll(() => status(third)).toBe(401);
  await world.api.ask('DELETE', `/api/v1/keys/${made.key.id}`);
});

test('lists and the log are handed over as files, as they are filtered', async ({ as, world }) => {
  const page = await as('super_admin');
  const take = async (path: string) => {
    await page.goto(path);
    await settled(page);
    const download = page.waitForEvent('download');
    await page.getByText('CSV', { exact: true }).click();
    const file = await download;
    expect(file.suggestedFilename()).toMatch(/\.csv$/);
    return (await readFile(await file.path(), 'utf8')).trim().split(/\r?\n/);
  };
  const keys = await take('/keys?search=Research');
  expect(keys[0]).toContain('alias');
  expect(keys.some((it) => it.includes('Research key'))).toBe(true);
  expect(keys.some((it) => it.includes('Elsewhere key'))).toBe(false);
  expect((await take('/channels')).some((it) => it.includes('First channel'))).toBe(true);
  expect((await take('/models?search=gpt-4o-mini')).some((it) => it.includes('gpt-4o-mini'))).toBe(true);
  const calls = await take(`/requests?key=${encodeURIComponent(world.foreign.key)}`);
  expect(calls.some((it) => it.includes(world.foreign.call))).toBe(true);
  expect(calls.some((it) => it.includes(world.own.call))).toBe(false);
  expect((await take('/audit')).some((it) => it.includes('channel.create'))).toBe(true);
});

test('a channel is tested: what it answered in what time, and what it failed by', async ({ as, world }) => {
  const { id } = await world.api.post('/api/v1/channels', channel('Tested', world.upstream.url));
  const page = await as('super_admin');
  await page.goto(`/channels/${id}`);
  await settled(page);
  const card = page.locator('.ant-card').filter({ has: page.getByText('Test with a small real call') });
  await card.getByRole('button', { name: 'Test', exact: true }).click();
  await expect(card.getByRole('alert')).toContainText('It answers');
  await expect(card.getByRole('alert')).toContainText(/gpt-4o-mini · openai_chat · status 200 · headers after .+ in total/);
  await choose(page, card.getByLabel('Model'), 'gpt-4o-mini--status-500');
  await card.getByRole('button', { name: 'Test', exact: true }).click();
  await expect(card.getByRole('alert')).toContainText('Upstream failed');
  await expect(card.getByRole('alert')).toContainText('status 500');
  await world.api.ask('DELETE', `/api/v1/channels/${id}`);
});

test('a second step is turned on, asked for at the next sign-in, and opened by a backup code once', async ({ visitor, world }) => {
  test.setTimeout(90_000);
  await person(world.api, 'careful', 'user', 'acme');
  const page = await visitor(world.gateway.url);
  const [name = '', value = ''] = (await signIn(world.gateway.url, 'careful')).split('=');
  await page.context().addCookies([{ name, value, url: world.gateway.url }]);
  await page.goto('/account');
  await page.getByRole('button', { name: 'Turn on' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Your password').fill(PASSWORD);
  await dialog.getByRole('button', { name: 'Continue' }).click();
  const secret = (await dialog.locator('pre').innerText()).trim();
  await dialog.getByLabel('Six-digit code').fill(codeOf(secret));
  await dialog.getByRole('button', { name: 'Continue' }).click();
  const backup = (await secretOf(page)).split('\n');
  await page.getByRole('button', { name: 'I have saved it' }).click();
  await expect(page.locator('main')).toContainText(`${backup.length} backup codes are left`);

  const away = async () => {
    await page.getByRole('button', { name: /Signed in as/ }).click();
    await page.locator('#self').getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('E-mail address or user id').fill('careful@example.com');
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  };
  // The way back from the second step leads where the first one would have.
  await away();
  await expect(page.getByLabel('Six-digit code')).toBeVisible();
  await page.goto('/account?tab=way');
  await expect(page.getByLabel('Six-digit code')).toBeVisible();
  await page.getByRole('link', { name: 'Sign in as somebody else' }).click();
  await expect(page).toHaveURL(/next=%2Faccount/);
  await page.getByLabel('E-mail address or user id').fill('careful@example.com');
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByLabel('Six-digit code').fill('000000');
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByRole('alert')).toContainText("The code isn't right", { ignoreCase: true });
  // The one that turned it on is used up.
  await page.getByLabel('Six-digit code').fill(codeOf(secret, 1));
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page).toHaveURL(/\/account\?tab=way$/);

  await away();
  await page.getByRole('button', { name: 'Use a backup code' }).click();
  await page.getByLabel('A backup code').fill(backup[0] ?? '');
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  await page.goto('/account');
  await expect(page.locator('main')).toContainText(`${backup.length - 1} backup codes are left`);
});

test('calls stand in the live log as they end, and only those that are asked for', async ({ as, world }) => {
  const page = await as('organization_admin');
  const issued = await world.api.post('/api/v1/keys', { alias: 'watched', group: world.own.group, user: world.own.user });
  await page.goto(`/requests?key=${encodeURIComponent(issued.key.id)}`);
  await settled(page);
  const began = page.waitForResponse((it) => it.url().includes('/records/tail'));
  await page.getByRole('switch', { name: 'Live' }).click();
  await began;
  await expect(page).toHaveURL(/live=1/);
  await new Api(world.gateway.url, world.secret).chat('gpt-4o-mini', 'of another key');
  await new Api(world.gateway.url, issued.secret).chat('gpt-4o-mini', 'hello');
  const log = page.getByRole('table', { name: 'Requests' });
  await expect(log.getByRole('row').filter({ hasText: 'watched' })).toHaveCount(1);
  await expect(log.locator('.log-body').getByRole('row')).toHaveCount(1);
  await world.api.ask('DELETE', `/api/v1/keys/${issued.key.id}`);
});

test('amounts and times are shown in the currency and the zone that are chosen, and stay so', async ({ visitor, world }) => {
  const page = await visitor(world.gateway.url);
  const [name = '', value = ''] = world.session.super_admin.split('=');
  await page.context().addCookies([{ name, value, url: world.gateway.url }]);
  const row = page.locator('.log-body').getByRole('row').first();
  const open = () => page.goto(`/requests?key=${encodeURIComponent(world.own.key)}&status=ok`);
  const read = async () => {
    await open();
    await settled(page);
    const words = await row.innerText();
    const hour = Number(/(\d\d):\d\d:\d\d/.exec(words)?.[1]);
    const [, sign, amount] = /([$¥])([\d.]+)/.exec(words) ?? [];
    return { hour, sign, amount: Number(amount) };
  };
  const before = await read();
  expect(before.sign).toBe('$');
  await page.getByRole('button', { name: 'Currency: USD' }).click();
  await expect(row).toContainText('¥');
  await page.goto('/account');
  await page.getByLabel('CNY for one USD').fill('1000');
  await page.getByLabel('CNY for one USD').press('Enter');
  await choose(page, page.getByLabel('Time zone'), 'Asia/Tokyo');
  const after = await read();
  expect(after.sign).toBe('¥');
  const { items } = await world.api.get(`/api/v1/records?key=${encodeURIComponent(world.own.key)}&status=ok&limit=1`);
  expect(after.amount / ((items[0].spend / 1e9) * 1000)).toBeCloseTo(1, 1);
  // The browser's is Berlin's, with its summer.
  expect([7, 8]).toContain((after.hour - before.hour + 24) % 24);
});

/** A gateway whose file says where calls go on to. */
const CONFIG = (upstream: string) => `version: 1
server: {demo_channel: false}
channels:
  - {name: Broad, provider: openai, url: "${upstream}/v1", credential: ${UPSTREAM_KEY}, models: [gpt-4o-mini, {name: wobbly, upstream: gpt-4o-mini--status-500}]}
  - {name: Second, provider: openai, url: "${upstream}/v1", credential: ${UPSTREAM_KEY}, priority: -1, models: [{name: wobbly, upstream: gpt-4o-mini--status-503}]}
fallbacks:
  general: {wobbly: [gpt-4o-mini, nobody]}
routing: {retries: 0, backoff: 1ms, backoff_max: 1ms}
`;

test('where calls of a model go on to is drawn, and is where they went', async ({ begun, alone }) => {
  test.setTimeout(90_000);
  const upstream = await startUpstream();
  const gateway = await alone(CONFIG(upstream.url));
  try {
    const { api, page } = await begun(gateway);
    await page.goto('/models');
    await page.getByRole('row').filter({ hasText: 'wobbly' }).getByRole('button').first().click();
    const graph = page.getByRole('list', { name: 'Where its calls go' });
    await expect(graph.getByRole('listitem')).toHaveCount(2);
    await expect(graph.getByRole('listitem').first()).toContainText(/Broad × 1.*→.*Second × 1/s);
    const behind = graph.getByRole('listitem').nth(1);
    await expect(behind).toContainText(/gpt-4o-mini.*1 channel.*→.*nobody.*No enabled channel serves it/s);
    const issued = await api.post('/api/v1/keys', { alias: 'caller' });
    expect((await new Api(gateway.url, issued.secret).chat('wobbly', 'hello')).status).toBe(200);
    const call = (await recorded(api, issued.key.id, 1))[0]?.call;
    await page.goto(`/requests/${call}`);
    await settled(page);
    await expect(page.getByRole('list', { name: 'Why it went there' })).toContainText('gpt-4o-mini');
  } finally {
    await upstream.stop();
  }
});

test('what the file leaves unsaid and its settings are told in both languages, less what the database has seen to', async ({ begun, alone }) => {
  test.setTimeout(90_000);
  const gateway = await alone(CONFIG('http://127.0.0.1:9'));
  const { api, page } = await begun(gateway);
  await page.goto('/system');
  await settled(page);
  const found = page.locator('.ant-card').filter({ has: page.getByText('Configuration findings') });
  await expect(found).toContainText('no channel of this file serves `nobody`');
  await page.getByText('Routing', { exact: true }).click();
  const main = page.locator('main');
  await expect(main).toContainText(/Benched for.*30 s/);
  await expect(main).toContainText(/A call within.*15 min/);
  await page.getByRole('button', { name: '中文' }).click();
  await expect(main).toContainText('文件中没有渠道提供 `nobody`：`wobbly` 在该处没有可用的备用模型');
  await expect(main).toContainText('请按下例声明该模型，或通过 API 创建，或删除该备用');
  await expect(main).toContainText(/冷却时长.*30秒/);
  const declared = { name: 'Somebody', provider: 'openai', url: 'http://127.0.0.1:9/v1', models: ['nobody'] };
  await api.post('/api/v1/channels', { declared, secret: UPSTREAM_KEY });
  await page.reload();
  await settled(page);
  await expect(main).toContainText('渠道 `Broad` 上的 `wobbly` 没有价格');
  await expect(main).not.toContainText('文件中没有渠道提供');
});
