// A gateway that has more of everything than a page of a list holds: all of it is there to be found.

import { expect, settled, test } from '../rig/test.ts';
import { UPSTREAM_KEY } from '../rig/process.ts';

test('the last of 130 channels and 105 organizations is listed, found and told of', async ({ begun, alone }) => {
  test.setTimeout(180_000);
  const { api, page } = await begun(await alone());
  const three = (index: number) => String(index).padStart(3, '0');
  const ids: string[] = [];
  for (let index = 0; index < 130; index++) {
    // Nothing of it is ever called.
    const models = ['common', ...(index === 0 || index === 129 ? ['rare'] : [])];
    const declared = { name: `Channel ${three(index)}`, provider: 'openai', url: 'http://127.0.0.1:9/v1', models };
    ids.push((await api.post('/api/v1/channels', { declared, secret: UPSTREAM_KEY })).id);
  }
  for (let index = 0; index < 105; index++)
    await api.post('/api/v1/organizations', { id: `org-${three(index)}`, alias: `Company ${three(index)}` });

  await page.goto('/channels');
  await settled(page);
  await expect(page.getByText('130 in all')).toBeVisible();
  for (const at of ['000', '129']) {
    await page.goto(`/channels?search=Channel%20${at}`);
    await expect(page.getByRole('link', { name: `Channel ${at}` })).toBeVisible();
  }
  // The other channel that serves it counts, wherever it stands.
  await page.goto(`/channels/${ids[0]}`);
  await page.getByRole('button', { name: 'Switch off' }).click();
  await expect(page.getByRole('dialog')).toContainText('Other channels go on serving every model of it.');
  await page.keyboard.press('Escape');
  for (const words of ['Channel 129', 'Company 104']) {
    await page.keyboard.press('Control+k');
    await page.keyboard.type(words);
    await expect(page.getByRole('option').filter({ hasText: words })).toBeVisible();
    await page.keyboard.press('Escape');
  }
  await page.goto('/groups?create=1');
  await page.getByRole('dialog').getByLabel('Organization').fill('Company 104');
  await expect(page.locator('.ant-select-item-option').filter({ hasText: 'Company 104' })).toBeVisible();
});
