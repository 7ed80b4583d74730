// Talking to models in the browser, by a key.

import { expect, test } from '../rig/test.ts';

test('an answer shows what it took, what it cost, and why it went where it went', async ({ as, world }) => {
  // The calls that the world was built with failed on purpose, and the channel may be resting from that.
  await world.api.post(`/api/v1/channels/${world.channel}/mend`, {});
  const page = await as('user');
  await page.goto('/playground?two=1&model=gpt-4o-mini&other=gpt-4o-mini');
  await page.getByLabel('Key', { exact: true }).fill(world.secret);
  await page.getByRole('button', { name: 'Start', exact: true }).click();
  await page.getByRole('button', { name: 'System prompt, parameters, tools' }).click();
  await page.getByLabel('Tools').fill('{"not": "a list"}');
  await page.getByLabel('Message', { exact: true }).fill('hello');
  await expect(page.getByRole('button', { name: 'Send' })).toBeDisabled();
  await page.getByLabel('Tools').fill('[{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]');
  const asked = page.waitForRequest(/\/v1\/chat\/completions$/);
  await page.getByRole('button', { name: 'Send' }).click();
  expect((await asked).postDataJSON().tools[0].function.name).toBe('look');
  const logs = page.getByRole('log');
  await expect(logs).toHaveCount(2);
  for (const log of await logs.all()) {
    await expect(log).toContainText('gpt-4o-mini');
    // Its record is there a moment after it ended.
    await expect(log).toContainText(/\$0\.0/);
    await log.getByText('Why it went there').click();
    await expect(log.getByRole('list', { name: 'Why it went there' })).toContainText(/priority \d/);
  }
  await logs.first().getByRole('link', { name: 'Open the call' }).click();
  await expect(page).toHaveURL(/\/requests\/call-/);
});
