// Whoever is refused reads why in their language, and where to go on; so does whoever finds nothing.

import { Api } from '../rig/api.ts';
import { expect, settled, test } from '../rig/test.ts';
import { channel, recorded, type World } from '../rig/world.ts';

/** A call of a key made for it: where its page is. */
async function refused(world: World, key: object, model: string, then?: (id: string) => Promise<unknown>) {
  const made = await world.api.post('/api/v1/keys', { group: world.foreign.group, ...key });
  await then?.(made.key.id);
  await new Api(world.gateway.url, made.secret).chat(model, 'hello');
  return `/requests/${(await recorded(world.api, made.key.id, 1))[0]?.call}`;
}

const patch = (world: World, path: string, body: object) => world.api.ask('PATCH', `/api/v1/${path}`, body);

const CASES: [string, (world: World) => Promise<string>, string[], string][] = [
  [
    'a model that nobody serves',
    (it) => refused(it, { alias: 'why nobody' }, 'gpt-4o-minii'),
    ['No channel serves gpt-4o-minii.', 'Perhaps meant: gpt-4o-mini'],
    'Add it to a channel',
  ],
  [
    'a model that the key may not call',
    (it) => refused(it, { alias: 'why models', models: ['claude-*'] }, 'gpt-4o-mini'),
    ['Key why models may only call: claude-*.'],
    'Change the models of why models',
  ],
  [
    'a key that is blocked',
    (it) => refused(it, { alias: 'why blocked' }, 'gpt-4o-mini', (id) => patch(it, `keys/${id}`, { blocked: true })),
    ['Key why blocked is blocked.'],
    'Unblock why blocked',
  ],
  [
    'a key of another address',
    (it) => refused(it, { alias: 'why address', allowed_ips: ['10.0.0.1'] }, 'gpt-4o-mini'),
    ['Key why address may be used only from: 10.0.0.1/32.'],
    'Change the addresses of why address',
  ],
];

for (const [name, call, sentences, remedy] of CASES) {
  test(`${name} is told, with what to do`, async ({ as, world }) => {
    const page = await as('super_admin');
    await page.goto(await call(world));
    await settled(page);
    const notice = page.locator('.notice');
    for (const sentence of sentences) await expect(notice).toContainText(sentence);
    await expect(notice.getByRole('link', { name: remedy })).toBeVisible();
    await expect(page.getByText('It was refused before a route was looked for.')).toBeVisible();
  });
}

test('channels that were all out are told, each with why', async ({ as, world }) => {
  const made = channel('Only one', world.upstream.url);
  made.declared.models = ['lonely'];
  const id = (await world.api.post('/api/v1/channels', made)).id;
  await patch(world, `channels/${id}`, { enabled: false });
  const page = await as('super_admin');
  await page.goto(await refused(world, { alias: 'why out' }, 'lonely'));
  await settled(page);
  await expect(page.locator('.notice')).toContainText('Only one: Switched off.');
  await world.api.ask('DELETE', `/api/v1/channels/${id}`);
});

test('a sign-in through a provider that failed is told in the language of whoever comes back', async ({ visitor, world }) => {
  const page = await visitor(world.gateway.url);
  const headers = { accept: 'text/html' };
  const answer = await page.request.get('/api/v1/session/oidc/nope', { headers, maxRedirects: 0 });
  expect([answer.status(), answer.headers().location]).toEqual([302, '/login?error=not_found']);
  await page.goto('/login?error=forbidden');
  await expect(page.getByRole('alert')).toContainText('you have no account here');
  await page.getByRole('button', { name: '中文' }).click();
  await expect(page.getByRole('alert')).toContainText('请联系管理员开通');
  await page.goto('/login?error=<b>');
  await expect(page.getByRole('alert')).toContainText('通过身份提供商登录失败');
});

test('what the server refuses is said in Chinese', async ({ as }) => {
  const page = await as('super_admin', { language: 'zh' });
  const refuse = (code: string, param: string) => ({
    status: 409,
    json: { error: { message: 'words of the server', type: 'invalid_request_error', code, param } },
  });
  let answer = refuse('conflict', 'name');
  await page.route(/\/api\/v1\/groups$/, (route) => (route.request().method() === 'POST' ? route.fulfill(answer) : route.fallback()));
  await page.goto('/groups?create=1');
  const form = page.getByRole('dialog');
  await form.getByLabel('名称').fill('二组');
  await form.locator('button.ant-btn-primary').first().click();
  await expect(form.getByText('该名称为空或已被使用，请换一个。')).toBeVisible();
  await expect(form.getByText('words of the server')).toHaveCount(0);
  answer = refuse('invalid_request', 'user');
  answer.json.error.message = 'the user belongs to another organization than the key';
  await form.locator('button.ant-btn-primary').first().click();
  await expect(form.getByRole('alert')).toContainText('该用户与密钥不属于同一组织');
  await expect(form.getByRole('alert')).not.toContainText('another organization');
  answer = refuse('invalid_request', 'priority');
  await form.locator('button.ant-btn-primary').first().click();
  await expect(form.getByRole('alert')).toContainText('填写的内容有误（优先级）');
  await expect(form.getByRole('alert')).toContainText('words of the server');
});

test('a sample call is explained by a policy as it is typed, before it is saved', async ({ as, world }) => {
  const before = await world.api.get(`/api/v1/policies/${world.policy}`);
  const page = await as('group_admin');
  await page.goto(`/policies/${world.policy}`);
  await settled(page);
  const text = page.getByRole('textbox', { name: 'Text', exact: true });
  const write = async (script: string) => {
    await text.click();
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.press('Delete');
    await page.keyboard.type(script);
  };
  await write('fn route(call) { deny("not on Mondays"); }');
  const sample = page.locator('.ant-card', { hasText: 'Explain a sample call, by this text as it is now' }).last();
  await sample.getByLabel('Model').fill('gpt-4o-mini');
  await sample.getByLabel('Key').click();
  await page.locator('.ant-select-item-option', { hasText: 'Research key' }).click();
  await sample.getByRole('button', { name: 'Explain' }).click();
  const answer = sample.getByRole('region', { name: 'Explain' });
  await expect(answer.getByRole('alert').first()).toContainText('not on Mondays');
  // It follows what is typed.
  await write('fn route(call) { tag("monday"); }');
  await expect(answer).not.toContainText('not on Mondays');
  await expect(answer).toContainText('tags [`monday`]');
  const stored = await world.api.get(`/api/v1/policies/${world.policy}`);
  expect(stored.newest).toBe(before.newest);
});

test('a list that filters leave empty says so, and one without anything says the next step', async ({ as }) => {
  const page = await as('super_admin');
  await page.goto('/keys?search=no-such-key-anywhere');
  await expect(page.getByText('Nothing matches these filters.')).toBeVisible();
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await expect(page.getByRole('table', { name: 'Keys' })).toContainText('Research key');
  for (const [path, step] of [
    ['keys', 'New key'],
    ['groups', 'New group'],
    ['users', 'New user'],
    ['channels', 'New channel'],
    ['policies', 'New policy'],
  ]) {
    await page.route(new RegExp(`/api/v1/${path}(\\?|$)`), (route) => route.fulfill({ json: { items: [], total: 0, next: null } }));
    await page.goto(`/${path}`);
    await expect(page.getByRole('table').getByRole('button', { name: step })).toBeVisible();
  }
});
