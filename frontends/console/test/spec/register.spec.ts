// Who isn't anybody yet: an account where the configuration lets people make one, and no word of it elsewhere; and who is invited.

import { Api } from '../rig/api.ts';
import { expect, test } from '../rig/test.ts';
import { PASSWORD } from '../rig/world.ts';

const OPEN = `version: 1
server: {demo_channel: false}
organizations: [{id: acme}]
groups: [{id: research, alias: Research, organization: acme}]
auth:
  registration: {email_domains: [corp.example], organization: acme, group: research, role: user}
`;

test('somebody makes an account, in either language', async ({ visitor, alone }) => {
  const gateway = await alone(OPEN);
  await new Api(gateway.url).post('/api/v1/setup', { email: 'root@example.com', password: PASSWORD });
  const page = await visitor(gateway.url);
  await page.goto('/login?next=%2Faccount');
  await page.getByRole('link', { name: 'No account yet? Create one' }).click();
  await expect(page.getByRole('heading', { name: 'Create an account' })).toBeVisible();
  const fill = async (email: string, again = PASSWORD) => {
    await page.getByLabel('Your e-mail address').fill(email);
    await page.getByLabel('Your name (optional)').fill('Ada');
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('Repeat the password').fill(again);
    await page.getByRole('button', { name: 'Create the account' }).click();
  };

  await test.step('what is refused is said, and nothing is lost', async () => {
    await fill('ada@corp.example', 'another teapot 93 walrus');
    await expect(page).toHaveURL(/register=1/);
    await fill('ada@elsewhere.example');
    await expect(page.getByRole('alert')).toContainText(/with such an address nobody registers here/i);
    await fill('root@example.com');
    await expect(page.getByRole('alert')).toContainText(/with such an address nobody registers here/i);
    await expect(page.getByLabel('Your name (optional)')).toHaveValue('Ada');
  });

  await test.step('who may is signed in, and comes to where they were going', async () => {
    await fill('ada@corp.example');
    await expect(page).toHaveURL(/\/account/);
    await expect(page.getByRole('heading', { name: 'My account' })).toBeVisible();
  });

  await test.step('an address has one account', async () => {
    const other = await visitor(gateway.url);
    await other.addInitScript(() =>
      localStorage.setItem('sluicegate.preference', JSON.stringify({ language: 'zh' })),
    );
    await other.goto('/login');
    await other.getByRole('link', { name: '还没有账户？创建一个' }).click();
    await other.locator('input[name=email]').fill('ada@corp.example');
    await other.locator('input[name=password]').fill(PASSWORD);
    await other.locator('input[name=again]').fill(PASSWORD);
    await other.getByRole('button', { name: '创建账户' }).click();
    await expect(other.getByRole('alert')).toContainText('该邮箱已有账户');
    await other.getByRole('link', { name: '已有账户，去登录' }).click();
    await expect(other.getByRole('heading', { name: '登录' })).toBeVisible();
  });
});

test('where nobody registers, nothing speaks of it', async ({ visitor, world }) => {
  const page = await visitor(world.gateway.url);
  await page.goto('/login');
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
  await expect(page.getByRole('link', { name: /account/ })).toHaveCount(0);
  await page.goto('/login?register=1&next=%2Faccount');
  await expect(page).toHaveURL(/\/login\?next=%2Faccount$/);
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
});

test('who is invited sets their own password, once', async ({ as, visitor, world }) => {
  await world.api.post('/api/v1/users', { id: 'newcomer', alias: 'Newcomer', organization: 'acme' });
  const page = await as('super_admin');
  await page.goto('/users/newcomer');
  await page.getByRole('button', { name: 'Invite', exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Invite', exact: true }).click();
  const shown = page.getByTestId('secret');
  await expect(shown).toContainText('/login#invitation=sginv_');
  const link = /http\S+#invitation=[\w.-]+/.exec((await shown.textContent()) ?? '')?.[0] ?? '';
  const guest = await visitor(world.gateway.url);
  await guest.goto(link);
  await expect(guest.getByRole('heading', { name: 'Welcome: choose your password' })).toBeVisible();
  const choose = async () => {
    await guest.getByLabel('New password').fill(PASSWORD);
    await guest.getByLabel('Repeat the password').fill(PASSWORD);
    await guest.getByRole('button', { name: 'Continue' }).click();
  };
  await choose();
  await expect(guest).toHaveURL(/\/(overview|keys|playground)/);
  await guest.context().clearCookies();
  await guest.goto('about:blank');
  await guest.goto(link);
  await choose();
  await expect(guest.getByRole('alert')).toContainText("doesn't count");
});

test('somebody new is put into a group and invited where they were made, and is called by their name', async ({ as, visitor, world }) => {
  const page = await as('super_admin');
  await page.goto('/users?create=1');
  const form = page.getByRole('dialog').first();
  await form.getByLabel('E-mail address').fill('lin@example.com');
  await form.getByLabel('Name', { exact: true }).fill('Lin');
  await form.getByLabel('Organization').click();
  await page.locator('.ant-select-item-option', { hasText: 'Acme' }).click();
  await form.getByRole('button', { name: 'Create', exact: true }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Lin');
  await page.getByRole('button', { name: 'Add to a group' }).click();
  await form.getByLabel('Group', { exact: true }).click();
  await page.locator('.ant-select-item-option', { hasText: 'Research' }).click();
  await form.getByLabel('Role in the group').click();
  await page.locator('.ant-select-item-option', { hasText: 'Group administrator' }).click();
  await form.getByRole('button', { name: 'Add', exact: true }).click();
  const groups = page.getByRole('table', { name: 'Groups' });
  await expect(groups).toContainText('Research');
  await expect(groups).toContainText('Group administrator');
  await page.getByRole('button', { name: 'Invite by a link' }).click();
  const link = /http\S+#invitation=[\w.-]+/.exec((await page.getByTestId('secret').textContent()) ?? '')?.[0] ?? '';
  await page.getByRole('button', { name: 'I have saved it' }).click();
  await expect(page.getByText("can't sign in yet")).toHaveCount(0);
  const guest = await visitor(world.gateway.url);
  await guest.goto(link);
  await guest.getByLabel('New password').fill(PASSWORD);
  await guest.getByLabel('Repeat the password').fill(PASSWORD);
  await guest.getByRole('button', { name: 'Continue' }).click();
  await expect(guest.getByRole('button', { name: 'Signed in as Lin' })).toBeVisible();
});
