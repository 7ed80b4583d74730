// What somebody has typed, or has, isn't lost in silence: not a credential, a limit, a text, nor the place where they are.

import type { Page } from '@playwright/test';
import { expect, settled, test } from '../rig/test.ts';
import { channel, PASSWORD, person, recorded, signIn, type World } from '../rig/world.ts';


/** A page of somebody new, whose session is their own: it may end. */
async function alone(world: World, visitor: (url: string) => Promise<Page>, id: string, role: string) {
  await person(world.api, id, role, 'acme');
  const page = await visitor(world.gateway.url);
  const [name = '', value = ''] = (await signIn(world.gateway.url, id)).split('=');
  await page.context().addCookies([{ name, value, url: world.gateway.url }]);
  return page;
}

async function made(world: World, name: string) {
  return (await world.api.post('/api/v1/channels', channel(name, world.upstream.url))).id as string;
}

test('another address asks for the credential again, and costs nobody the one that is there', async ({ as, world }) => {
  const id = await made(world, 'Moved');
  const page = await as('super_admin');
  await page.goto(`/channels/${id}`);
  await page.getByRole('button', { name: 'Change', exact: true }).click();
  const form = page.getByRole('dialog');
  await form.getByText('Address by format, authentication, id').click();
  await form.getByRole('textbox', { name: 'Address', exact: true }).first().fill(`${world.upstream.url}/v2/chat/completions`);
  await expect(form.getByText('enter the credential again').first()).toBeVisible();
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form.locator('.ant-form-item-explain-error')).toContainText('enter the credential again');
  expect((await world.api.get(`/api/v1/channels/${id}`)).has_secret).toBe(true);
  await form.getByLabel('Credential').fill('sk-another-one');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form).toHaveCount(0);
  const after = await world.api.get(`/api/v1/channels/${id}`);
  expect([after.has_secret, after.endpoints[0].url]).toEqual([true, `${world.upstream.url}/v2/chat/completions`]);
  await world.api.ask('DELETE', `/api/v1/channels/${id}`);
});

test('models of the upstream are chosen, and a price is set where there is none', async ({ as, world }) => {
  const id = await made(world, 'Fetched');
  const page = await as('super_admin');
  const model = (name: string, served: boolean) => ({ name, known: false, priced: false, served });
  const items = [model('gpt-4o-mini', true), model('own-small', false), model('own-large', false)];
  await page.route(/\/models\/fetch$/, (route) => route.fulfill({ json: { items, total: 3, next: null } }));
  await page.goto(`/channels/${id}`);
  await page.getByRole('button', { name: 'Change', exact: true }).click();
  const form = page.getByRole('dialog');
  await form.getByRole('button', { name: "Fetch the upstream's models" }).click();
  await expect(form.getByRole('checkbox', { name: 'gpt-4o-mini', exact: true })).toHaveCount(0);
  await form.getByRole('checkbox', { name: 'own-small' }).check();
  await form.getByRole('button', { name: 'Add 1 model' }).click();
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form).toHaveCount(0);
  // The same on the channel's own page.
  await page.getByRole('button', { name: "Fetch the upstream's models" }).click();
  await page.getByRole('checkbox', { name: 'own-large' }).check();
  await page.getByRole('button', { name: 'Add 1 model' }).click();
  const row = page.getByRole('table', { name: 'Models' }).getByRole('row', { name: /own-large/ });
  await row.getByRole('link', { name: 'Set a price' }).click();
  await form.getByLabel('Input, USD per 1M tokens').fill('2.5');
  await form.getByLabel('Output, USD per 1M tokens').fill('10');
  await form.getByLabel('Context window, tokens').fill('128000');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form).toHaveCount(0);
  await expect(row).toContainText('$2.50');
  await expect(row).toContainText('128,000');
  const { models } = await world.api.get(`/api/v1/channels/${id}`);
  const own = models.find((it: { group: string }) => it.group === 'own-large');
  expect([own.price.input, own.price.output, own.context_window]).toEqual([2_500_000, 10_000_000, 128_000]);
  await world.api.ask('DELETE', `/api/v1/channels/${id}`);
});

test('a limit that lacks its amount, or is there twice, is said and not dropped', async ({ as, world }) => {
  const page = await as('super_admin');
  await page.goto(`/groups/${world.own.group}`);
  await page.locator('.head').getByRole('button', { name: 'Change', exact: true }).click();
  const form = page.getByRole('dialog').first();
  const save = () => form.getByRole('button', { name: 'Save' }).click();
  await form.getByRole('button', { name: 'Add a limit' }).click();
  await save();
  await expect(form.getByText('Enter an amount for each limit')).toBeVisible();
  await form.getByLabel('Amount').last().fill('1,000');
  await save();
  await expect(form.getByText('of the same kind, period, model and mode')).toBeVisible();
  const { limits } = await world.api.get(`/api/v1/groups/${world.own.group}`);
  expect(limits.spend.month).toContain('100');
  await form.getByLabel('Amount').last().fill('0');
  await form.getByLabel('Model', { exact: true }).last().fill('gpt-4o-mini');
  await save();
  const doubt = page.getByRole('dialog', { name: 'A limit of 0 refuses every call' });
  await doubt.getByRole('button', { name: 'Cancel' }).click();
  await form.getByLabel('Amount').last().fill('1,000');
  await save();
  await expect(form).toHaveCount(0);
  const after = await world.api.get(`/api/v1/groups/${world.own.group}`);
  expect(after.limits.models['gpt-4o-mini'].spend.month).toContain('1000');
});

test('what the server refuses of a field stands at the field', async ({ as, world }) => {
  const page = await as('super_admin');
  await page.route(/\/api\/v1\/groups\/[^/?]+$/, (route) =>
    route.request().method() === 'PATCH'
      ? route.fulfill({
          status: 400,
          json: { error: { message: 'too much, says the server', type: 'x', code: 'invalid_request', param: 'limits.spend' } },
        })
      : route.fallback(),
  );
  await page.goto(`/groups/${world.foreign.group}`);
  await page.locator('.head').getByRole('button', { name: 'Change', exact: true }).click();
  const form = page.getByRole('dialog');
  await form.getByLabel('Amount').first().fill('7');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form.locator('.ant-form-item', { hasText: 'Limits' }).first()).toContainText('too much, says the server');
});

test('a mistyped password or code keeps somebody where they are', async ({ visitor, world }) => {
  const page = await alone(world, visitor, 'typist', 'user');
  await page.goto('/account');
  await settled(page);
  await page.getByLabel('Your password').fill('not this one at all');
  await page.getByLabel('New password').fill('quite another sentence 7');
  await page.getByRole('button', { name: 'Change the password' }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  await expect(page).toHaveURL(/\/account$/);
  await page.getByRole('button', { name: 'Turn on' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Your password').fill(PASSWORD);
  await dialog.getByRole('button', { name: 'Continue' }).click();
  const secret = dialog.locator('pre');
  const shown = await secret.innerText();
  await dialog.getByLabel('Six-digit code').fill('000000');
  await dialog.getByRole('button', { name: 'Continue' }).click();
  await expect(dialog.getByRole('alert')).toBeVisible();
  await expect(secret).toHaveText(shown);
});

test('what was typed is asked for before it is left, by a link and by the way back', async ({ as, world }) => {
  const page = await as('super_admin');
  await page.clock.install();
  await page.goto('/groups');
  const write = (text: string) => world.api.put('/api/v1/policies/written', { text, group: world.own.group });
  await write('fn route(call, candidates) {}');
  await page.goto('/policies/written');
  const editor = page.getByRole('textbox', { name: 'Text' });
  await editor.click();
  await page.keyboard.type('// mine ');
  await page.getByRole('link', { name: 'Keys', exact: true }).click();
  const question = page.getByRole('dialog', { name: 'Discard what you entered?' });
  await question.getByRole('button', { name: 'Stay' }).click();
  await expect(page).toHaveURL(/\/policies\/written/);
  // Somebody else saves another version: mine stays, and I am told.
  await write('fn route(call) {}');
  await page.clock.fastForward(30_000);
  await page.evaluate(() => dispatchEvent(new Event('visibilitychange')));
  await expect(page.getByText('Version 2 was saved meanwhile')).toBeVisible();
  await expect(editor).toContainText('// mine');
  await page.getByRole('link', { name: 'Keys', exact: true }).click();
  await question.getByRole('button', { name: 'Discard' }).click();
  await expect(page).toHaveURL(/\/keys$/);
});

test('a session that ends above a form is begun again there, and nothing typed is lost', async ({ visitor, world }) => {
  const page = await alone(world, visitor, 'leaver', 'organization_admin');
  await page.goto('/groups?create=1');
  const form = page.getByRole('dialog').first();
  await form.getByLabel('Name', { exact: true }).fill('Typed before');
  expect((await world.api.ask('DELETE', '/api/v1/users/leaver/sessions')).status).toBeLessThan(300);
  await form.getByRole('button', { name: 'Create', exact: true }).click();
  const again = page.getByRole('dialog', { name: 'Sign in again' });
  await expect(page.locator('body')).not.toContainText('/api/v1');
  await again.getByLabel('Password').fill('not this one at all');
  await again.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(again.getByRole('alert')).toBeVisible();
  await again.getByLabel('Password').fill(PASSWORD);
  await again.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(again).toHaveCount(0);
  await expect(form.getByLabel('Name', { exact: true })).toHaveValue('Typed before');
  await form.getByRole('button', { name: 'Create', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'Typed before' })).toBeVisible();
});

test('without anything typed a session that ends leads to the sign-in page, and back', async ({ visitor, world }) => {
  const page = await alone(world, visitor, 'idler', 'user');
  await page.goto('/keys');
  await settled(page);
  await world.api.ask('DELETE', '/api/v1/users/idler/sessions');
  await page.getByRole('link', { name: 'Requests', exact: true }).click();
  await expect(page).toHaveURL(/\/login\?next=/);
  await page.getByLabel('E-mail address or user id').fill('idler');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page).toHaveURL(/\/(requests|keys)$/);
});

test('what somebody may never do is not offered', async ({ as, world }) => {
  const admin = await as('group_admin');
  await admin.goto(`/groups/${world.own.group}`);
  await settled(admin);
  await expect(admin.getByRole('button', { name: 'Change', exact: true }).and(admin.locator('.head button'))).toHaveCount(0);
  await expect(admin.getByRole('link', { name: 'Organizations', exact: true })).toHaveCount(0);
  // Whoever isn't in the list yet is added by their id.
  await person(world.api, 'joiner', 'user', 'acme');
  await admin.getByRole('button', { name: 'Add a member' }).click();
  const form = admin.getByRole('dialog');
  await form.getByLabel('User', { exact: true }).fill('joiner');
  await admin.locator('.ant-select-item-option', { hasText: 'joiner' }).first().click();
  await form.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(form).toHaveCount(0);
  await expect(admin.getByRole('table', { name: 'Members' })).toContainText('joiner');

  const organization = await as('organization_admin');
  await organization.goto('/organizations/acme');
  await settled(organization);
  await expect(organization.locator('.head button')).toHaveCount(0);

  // Somebody's own key that an administrator made: to name, block, renew and delete; and what can't be taken back is said.
  const issued = await world.api.post('/api/v1/keys', { alias: 'Given', group: world.own.group, user: 'user' });
  const user = await as('user');
  await user.goto(`/keys/${issued.key.id}`);
  await settled(user);
  await expect(user.getByRole('button', { name: 'Change', exact: true })).toHaveCount(0);
  await user.getByRole('button', { name: 'Block', exact: true }).click();
  await expect(user.getByRole('dialog')).toContainText('Only an administrator can unblock it');
  await user.getByRole('dialog').getByRole('button', { name: 'Block' }).click();
  await expect(user.locator('.head .tag').first()).toHaveText('Blocked');
  await expect(user.getByRole('button', { name: 'Unblock' })).toHaveCount(0);
  await world.api.ask('DELETE', `/api/v1/keys/${issued.key.id}`);
});

test('a live log that is cut off says so', async ({ as, world }) => {
  await recorded(world.api, world.own.key, 1);
  const page = await as('super_admin');
  await page.route(/\/records\/tail/, (route) => route.fulfill({ status: 503, body: 'no' }));
  await page.goto('/requests?live=1');
  await expect(page.getByText('Disconnected: calls that end now are not shown')).toBeVisible();
  await page.goto('/requests?live=1&search=abc');
  await expect(page.getByRole('switch', { name: 'Live' })).toBeDisabled();
});

test("a key's secret that is shown once isn't left by the way back without a question", async ({ as }) => {
  const page = await as('super_admin');
  await page.goto('/overview');
  await settled(page);
  await page.getByRole('link', { name: 'Keys', exact: true }).click();
  await page.getByRole('button', { name: 'New key' }).click();
  await page.getByRole('dialog').getByLabel('Alias').fill('Shown once');
  await page.getByRole('dialog').getByRole('button', { name: 'Create', exact: true }).click();
  const secret = page.getByTestId('secret');
  await expect(secret).toBeVisible();
  // The step that opened the form stands between, and leads nowhere else.
  await page.goBack();
  await expect(secret).toBeVisible();
  await page.goBack();
  const asked = page.getByRole('dialog', { name: 'Leave without it?' });
  await asked.getByRole('button', { name: 'Stay' }).click();
  await expect(secret).toBeVisible();
  await page.getByRole('button', { name: 'I have saved it' }).click();
  await expect(secret).toHaveCount(0);
  await page.getByRole('link', { name: 'Groups', exact: true }).click();
  await expect(page).toHaveURL(/\/groups$/);
});
