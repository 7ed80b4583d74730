// The worst rows that there are, on a gateway of their own: no list is wider than the window, and none breaks a word in its middle.

import type { Page } from '@playwright/test';
import { Api } from '../rig/api.ts';
import { startUpstream, UPSTREAM_KEY } from '../rig/process.ts';
import { expect, settled, test } from '../rig/test.ts';
import { member, recorded, signIn } from '../rig/world.ts';

const SPOKEN = 'Language models for everybody in the translation and documentation department of the northern subsidiary';
const JOINED = 'eu_west_1_production_meta_llama_3_3_70b_instruct_turbo_fallback';
const CHINESE = '华东地区研发中心大模型应用平台部门共享渠道（生产环境，备用线路，仅限内部使用）';
const MODELS = [
  'gpt-4o-mini',
  'accounts/fireworks/models/llama-v3p1-405b-instruct',
  'anthropic.claude-3-5-sonnet-20241022-v2:0',
  'meta_llama_3_3_70b_instruct_turbo_free_preview',
];
const TAGS = ['overseas', 'approved_for_personal_data_of_customers', 'batch'];

/** From a file, which is said beside the name. */
const CONFIG = `version: 1
server: {demo_channel: false}
channels:
  - {name: "${SPOKEN}", id: of-file, provider: openai, url: "http://127.0.0.1:9/v1", credential: unused, models: [of-file]}
groups: [{id: group_of_a_file_with_a_rather_long_identifier, alias: "${CHINESE}"}]
policies: [{name: policy_of_a_file_with_a_rather_long_name, script: "fn route(call) {}"}]
`;

const ALL = ['/keys', '/groups', '/users', '/organizations', '/channels', '/models', '/policies', '/audit', '/usage?by=model&and=group', '/requests'];

test('the worst rows of each list are as wide as its window, and break no word in its middle', async ({ visitor, alone }) => {
  test.setTimeout(300_000);
  const upstream = await startUpstream();
  const gateway = await alone(CONFIG);
  try {
    const pages = await company(new Api(gateway.url), upstream.url);
    const page = await visitor(gateway.url);
    const [name = '', value = ''] = (await signIn(gateway.url, 'super_admin')).split('=');
    await page.context().addCookies([{ name, value, url: gateway.url }]);
    await muchUsed(page);
    await page.goto('/channels');
    await settled(page);
    for (const state of ['Cooling down', 'Broken', 'Failing lately', '6 failures', 'Off', 'Healthy'])
      await expect(page.getByRole('table', { name: 'Channels' })).toContainText(state);
    for (const language of ['en', 'zh']) {
      for (const width of [1280, 1024]) {
        await page.setViewportSize({ width, height: 800 });
        await page.evaluate(
          (it) => localStorage.setItem('sluicegate.preference', it),
          JSON.stringify({ language, colours: 'light', currency: language === 'zh' ? 'CNY' : 'USD', rate: 7.2 }),
        );
        for (const path of [...ALL, ...pages]) {
          await page.goto(path);
          await settled(page);
          const where = `${path} at ${width} in ${language}`;
          expect.soft(await page.evaluate(wider), where).toEqual([]);
          expect.soft(await page.evaluate(broken), where).toEqual([]);
        }
      }
    }
  } finally {
    await upstream.stop();
  }
});

/** Long names, many models and tags, every state. Answers pages of single things. */
async function company(api: Api, upstream: string): Promise<string[]> {
  await api.post('/api/v1/setup', { email: 'super_admin@example.com', password: 'walrus teapot octave 93' });
  const limits = { total_tokens: { day: '2M', '90m': '1M' }, spend: { month: '123456 USD' } };
  await api.post('/api/v1/organizations', { id: 'acme_holding_of_the_northern_subsidiary', alias: SPOKEN, models: MODELS, limits, blocked: true });
  const organization = (await api.post('/api/v1/organizations', { alias: JOINED, models: MODELS, limits })).id;
  const group = (await api.post('/api/v1/groups', { alias: JOINED, organization, models: MODELS, limits })).id;
  await api.post('/api/v1/groups', { alias: SPOKEN, organization, models: MODELS, limits, blocked: true });
  const user = 'somebody_with_a_rather_long_name_in_the_northern_subsidiary';
  await member(api, group, user, organization, 'user');
  await api.post('/api/v1/users', { alias: SPOKEN, email: 'somebody.else.with.a.long.name@northern-subsidiary.example.com', role: 'organization_admin', organization, limits });
  for (const alias of [SPOKEN, JOINED, CHINESE])
    await api.post('/api/v1/keys', { alias, group, user, models: MODELS, limits, tags: TAGS, expires_at: 1 });

  const declared = { provider: 'openai', url: `${upstream}/v1`, tags: TAGS, priority: -1_000, weight: 10_000 };
  const many = MODELS.map((name) => ({ name, upstream: 'gpt-4o-mini' }));
  const failing = (name: string, allowed_fails: number, status = 500) => ({
    ...declared,
    name: `${name} ${SPOKEN}`,
    models: [...many, { name: `${name}--well`, upstream: 'gpt-4o-mini' }, { name: `${name}--ill`, upstream: `gpt-4o-mini--status-${status}` }],
    allowed_fails,
    cooldown: '47h',
  });
  const make = async (it: object, secret = UPSTREAM_KEY) => (await api.post('/api/v1/channels', { declared: it, secret })).id as string;
  const channel = await make(failing('benched', 0));
  await make(failing('lately', 1_000));
  await make(failing('failures', 1_000));
  await make({ ...failing('broken', 1_000), name: JOINED }, 'not-the-key');
  await make({ ...declared, name: CHINESE, models: many, enabled: false });
  await api.put('/api/v1/policies/a_policy_with_a_rather_long_name_of_the_northern_subsidiary', { text: 'fn route(call) {}', group });

  // One that may call what its group's keys and its organization mayn't.
  const free = (await api.post('/api/v1/groups', { alias: `${SPOKEN} too` })).id;
  const issued = await api.post('/api/v1/keys', { alias: 'caller', group: free });
  const caller = new Api(api.url, issued.secret);
  const calls = ['benched--ill', 'lately--well', 'lately--ill', 'lately--ill', 'failures--ill', 'failures--ill', 'broken--well', MODELS[1] ?? ""];
  for (const model of calls) await caller.chat(model, 'hello');
  const call = (await recorded(api, issued.key.id, calls.length))[0]?.call;
  return [`/requests/${call}`, `/groups/${group}`, `/users/${user}`, `/keys/${issued.key.id}`, `/channels/${channel}`];
}

/** Nobody calls so often in a test: what was used is told as after a year of it. */
async function muchUsed(page: Page) {
  const sums = { requests: 98_765_432, calls: 98_765_432, attempts: 98_765_432, failures: 12_345_678, spend: 9_876_543e9, cost: 9_876_543e9 };
  // Failures are forgotten after a minute: what was told first is told on.
  const first = new Map<string, object>();
  await page.route(/\/api\/v1\/(keys|groups|users|organizations|channels)\?/, async (route) => {
    const answer = await route.fetch();
    const json = await answer.json();
    for (const it of json.items) {
      if (it.used) Object.assign(it.used, sums);
      const { health, recent } = it;
      if (health) Object.assign(it, first.get(it.id) ?? (first.set(it.id, { health, recent }), {}));
      // Which takes a minute without a call to come about.
      if (it.name?.startsWith('lately ')) Object.assign(it, { health: { ...it.health, failures: 0 }, recent: { ...it.recent, failures: 1_234, calls: 1_280 } });
    }
    await route.fulfill({ response: answer, json });
  });
}

function wider(): string[] {
  return [document.documentElement, ...Array.from(document.querySelectorAll('.ant-table-content, .log'))]
    .filter((it) => it.scrollWidth > it.clientWidth + 1)
    .map((it) => `${it.className} ${it.scrollWidth} > ${it.clientWidth}`);
}

/** Words of a table that stand in two lines: each as long as a name's or a state's, ids aside. */
function broken(): string[] {
  const found: string[] = [];
  for (const cell of Array.from(document.querySelectorAll('.ant-table-content td, .ant-table-content th'))) {
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
      if (text.parentElement?.closest('.mono, .unseen')) continue;
      for (const { 0: word, index } of (text.textContent ?? '').matchAll(/(?<!\S)[A-Za-z]{2,12}(?!\S)/g)) {
        const range = document.createRange();
        range.setStart(text, index);
        range.setEnd(text, index + word.length);
        if (new Set(Array.from(range.getClientRects()).map((it) => it.top)).size > 1) found.push(word);
      }
    }
  }
  return found;
}
