// Nobody reaches by an address what the lists leave out: it is the same as what isn't there.

import { expect, settled, test } from '../rig/test.ts';
import { ROLES, type Role, type World } from '../rig/world.ts';

/** What is looked for, where it is of another organization or nobody but super administrators sees it. */
const THINGS: [string, (it: World['foreign'], world: World) => string][] = [
  ['keys', (it) => `/keys/${it.key}`],
  ['groups', (it) => `/groups/${it.group}`],
  ['users', (it) => `/users/${it.user}`],
  ['requests', (it) => `/requests/${it.call}`],
  ['organizations', () => '/organizations/default'],
  ['channels', (_, world) => `/channels/${world.channel}`],
  ['policies', () => '/policies/elsewhere'],
];

/** Addresses that open what only some may do. */
const FORMS = ['/users?create=1', '/organizations?create=1', '/channels?create=1', '/system', '/channels'];

for (const role of ROLES.filter((it): it is Exclude<Role, 'super_admin'> => it !== 'super_admin')) {
  test(`${role} reaches nothing of another organization`, async ({ as, world }) => {
    const page = await as(role);
    for (const [name, path] of THINGS) {
      const words = async (address: string, id: string) => {
        await page.goto(address);
        await settled(page);
        return (await page.locator('main').innerText()).replaceAll(id, 'ID');
      };
      const foreign = path(world.foreign, world);
      const id = foreign.split('/').at(-1) ?? '';
      const unknown = id.replace(/.{4}$/, 'zzzz');
      const shown = await words(foreign, id);
      expect(shown, `${name} of others, for ${role}`).toBe(await words(`/${name}/${unknown}`, unknown));
      expect(shown).not.toContain('Elsewhere');
    }
    for (const list of ['keys', 'groups', 'users', 'requests']) {
      await page.goto(`/${list}`);
      await settled(page);
      await expect(page.locator('main')).not.toContainText('Elsewhere');
      await expect(page.locator('main')).not.toContainText('stranger');
    }
  });
}

test('forms of others are as little there by their address as by a button', async ({ as }) => {
  const page = await as('user');
  for (const address of FORMS) {
    await page.goto(address);
    await settled(page);
    await expect(page.getByRole('dialog'), address).toHaveCount(0);
    await expect(page.locator('main form'), address).toHaveCount(0);
    await expect(page.locator('main')).not.toContainText('First channel');
  }
});

test('who is in the group sees it', async ({ as, world }) => {
  const page = await as('user');
  await page.goto(`/groups/${world.own.group}`);
  await expect(page.getByRole('heading', { name: 'Research' })).toBeVisible();
});

test('who is signed out comes back after signing in', async ({ visitor, world }) => {
  const page = await visitor(world.gateway.url);
  await page.goto(`/keys/${world.own.key}`);
  await page.getByLabel('E-mail address or user id').fill('super_admin@example.com');
  await page.getByLabel('Password').fill('walrus teapot octave 93');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`/keys/${world.own.key}$`));
  await expect(page.getByRole('heading', { name: 'Research key' })).toBeVisible();
});

test('whoever belongs to an organization is told what it is called, and no id', async ({ as, world }) => {
  for (const role of ['user', 'group_admin'] as const) {
    const page = await as(role);
    for (const path of ['/groups', `/groups/${world.own.group}`, `/keys/${world.own.key}`, `/requests/${world.own.call}`]) {
      await page.goto(path);
      await settled(page);
      const main = page.locator('main');
      await expect(main, path).toContainText('Acme');
      // The record stands there as the API returns it, too.
      expect((await main.innerText()).split('\n').filter((it) => it.trim() === 'acme'), path).toEqual([]);
    }
  }
  const page = await as('user');
  await page.goto('/account');
  await expect(page.locator('main')).toContainText('User · Acme');
});
