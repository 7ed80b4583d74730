// Nobody reaches by an address what the lists leave out: it is the same as what isn't there.

import { expect, settled, test } from '../rig/test.ts';
import { ROLES, type Role, type World } from '../rig/world.ts';

const THINGS: [string, (it: World['own']) => string][] = [
  ['keys', (it) => `/keys/${it.key}`],
  ['groups', (it) => `/groups/${it.group}`],
  ['users', (it) => `/users/${it.user}`],
  ['requests', (it) => `/requests/${it.call}`],
];

for (const role of ROLES.filter((it): it is Exclude<Role, 'super_admin'> => it !== 'super_admin')) {
  test(`${role} reaches nothing of another organization`, async ({ as, world }) => {
    const page = await as(role);
    for (const [name, path] of THINGS) {
      const words = async (address: string, id: string) => {
        await page.goto(address);
        await settled(page);
        return (await page.locator('main').innerText()).replaceAll(id, 'ID');
      };
      const foreign = path(world.foreign);
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
