// A company as it looks after a week of use: people, groups, keys, channels well and ill, calls of each kind on each day, limits
// half used and used up. Its days go by as the gateway's clock is moved (`clock.c`, which takes a C compiler).

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Api, type Json } from '../rig/api.ts';
import { type Running, startGateway, startUpstream, UPSTREAM_KEY } from '../rig/process.ts';
import { person, signIn } from '../rig/world.ts';

const HOUR_S = 3_600;
/** When the gateway was up, in hours before now. */
const TIMES = [...Array.from({ length: 13 }, (_, at) => (13 - at) * 24), 20, 14, 9, 6, 3, 1, 0];

const PEOPLE = [
  { id: 'lin.wei', name: '林薇', group: 'Platform' },
  { id: 'chen.hao', name: '陈昊', group: 'Platform' },
  { id: 'ada', name: 'Ada Okafor', group: 'Research' },
  { id: 'mateo', name: 'Mateo Ruiz', group: 'Research' },
  { id: 'zhou.min', name: '周敏', group: '客服中心' },
  { id: 'noor', name: 'Noor Haddad', group: 'Marketing' },
] as const;

const GROUPS = [
  { alias: 'Platform', limits: { spend: { month: '200 USD' }, requests: { minute: 600 } }, models: ['*'] },
  { alias: 'Research', limits: { total_tokens: { day: '40K', month: '2M' }, spend: { month: '0.05 USD' } }, models: ['*'] },
  { alias: '客服中心', limits: { total_tokens: { day: '4K deny' } }, models: ['gpt-4o-mini', 'deepseek-chat'] },
  { alias: 'Marketing', limits: {}, models: ['gpt-4o-mini', 'claude-sonnet-4-5'] },
];

const CONFIG = (upstream: string) => `version: 1
server: {demo_channel: false}
quotas: {limits: {spend: {month: 500 USD}}, time_zone: Europe/Berlin}
channels:
  - name: OpenAI (east)
    id: openai-east
    provider: openai
    url: ${upstream}/v1
    credential: ${UPSTREAM_KEY}
    priority: 10
    weight: 3
    models:
      - {name: gpt-4o, upstream: gpt-4o--delay-120--chunk-delay-15, price: {input: 2.5, output: 10, cached_input: 1.25}, context_window: 128K, max_output: 16K}
      - {name: gpt-4o-mini, upstream: gpt-4o-mini--delay-40, price: {input: 0.15, output: 0.6, cached_input: 0.075}, context_window: 128K, max_output: 16K}
  - name: OpenAI (west)
    id: openai-west
    provider: openai
    url: ${upstream}/v1
    credential: ${UPSTREAM_KEY}
    priority: 10
    tags: [overseas]
    models:
      - {name: gpt-4o, upstream: gpt-4o--delay-260--chunk-delay-30, price: {input: 2.5, output: 10}, context_window: 128K, max_output: 16K}
fallbacks:
  general: {gpt-4o: [claude-sonnet-4-5, gpt-4o-mini], wobbly: [gpt-4o-mini]}
  context_window: {gpt-4o-mini: gpt-4o}
model_groups:
  gpt-4o: {strategy: lowest_latency, downgrade_to: [gpt-4o-mini]}
`;

const priced = (input: number, output: number) => ({ input, output });

const CHANNELS = (upstream: string) => [
  {
    name: 'Anthropic',
    provider: 'anthropic',
    url: `${upstream}`,
    models: [{ name: 'claude-sonnet-4-5', upstream: 'claude--delay-180--chunk-delay-10', price: priced(3, 15), context_window: '200K', max_output: '64K' }],
  },
  {
    name: 'DeepSeek 直连',
    provider: 'deepseek',
    url: `${upstream}/v1`,
    tags: ['cheap', 'cn'],
    models: [{ name: 'deepseek-chat', upstream: 'deepseek-chat--delay-90', price: { currency: 'USD', ...priced(0.28, 0.42) } }],
  },
  {
    name: 'Old proxy',
    provider: 'custom_openai',
    url: `${upstream}/v1`,
    priority: 5,
    models: [{ name: 'wobbly', upstream: 'wobbly--status-503' }],
  },
  {
    name: 'In-house vLLM',
    provider: 'custom_openai',
    url: `${upstream}/v1`,
    enabled: false,
    models: ['qwen3-32b', 'bge-m3'],
  },
];

export type Company = { gateway: Running; api: Api; session: string; user: string; id: Record<string, string>; end: () => Promise<void> };

export async function found(): Promise<Company> {
  const upstream = await startUpstream();
  const folder = mkdtempSync(join(tmpdir(), 'sluicegate-company-'));
  const secrets: Record<string, string> = {};
  const id: Record<string, string> = {};
  let gateway: Running | undefined;
  const clock = join(folder, 'clock.so');
  execFileSync('cc', ['-shared', '-fPIC', '-o', clock, join(import.meta.dirname, 'clock.c')]);
  for (const [index, hours] of TIMES.entries()) {
    await gateway?.stop();
    const env: Record<string, string> = hours ? { LD_PRELOAD: clock, CLOCK_SHIFT_S: String(-hours * HOUR_S) } : {};
    gateway = await startGateway(CONFIG(upstream.url), { folder, env });
    if (index === 0) await settle(new Api(gateway.url), upstream.url, secrets, id);
    await work(new Api(gateway.url), secrets, index);
  }
  if (!gateway) throw new Error('no gateway was started');
  const running = gateway;
  const api = new Api(running.url);
  await lately(api, secrets, id);
  const end = async () => {
    await running.stop();
    await upstream.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { gateway: running, api, session: await signIn(running.url, 'super_admin'), user: await signIn(running.url, 'ada'), id, end };
}

/** Who is there, and what they may. */
async function settle(api: Api, upstream: string, secrets: Record<string, string>, id: Record<string, string>) {
  await api.post('/api/v1/setup', { email: 'super_admin@example.com', password: 'walrus teapot octave 93' });
  await api.post('/api/v1/organizations', { id: 'acme', alias: 'Acme 集团', limits: { spend: { month: '300 USD' } } });
  for (const declared of CHANNELS(upstream)) {
    const made = await api.post('/api/v1/channels', { declared, secret: UPSTREAM_KEY });
    id[declared.name] = made.id ?? made.channel?.id;
  }
  for (const group of GROUPS) {
    id[group.alias] = (await api.post('/api/v1/groups', { ...group, organization: 'acme' })).id;
  }
  for (const it of PEOPLE) {
    await person(api, it.id, 'user', 'acme');
    await api.ask('PATCH', `/api/v1/users/${it.id}`, { alias: it.name });
    const role = it.id === 'lin.wei' || it.id === 'ada' ? 'group_admin' : 'user';
    await api.post(`/api/v1/groups/${id[it.group]}/members`, { user: it.id, role });
    const limits = it.id === 'mateo' ? { requests: { day: 40 } } : undefined;
    const alias = it.id === 'ada' ? 'Ada · coding agent' : `${it.name} notebook`;
    const key = await api.post('/api/v1/keys', { alias, group: id[it.group], user: it.id, limits, tags: it.id === 'noor' ? ['campaign'] : [] });
    secrets[it.id] = key.secret;
    id[`key ${it.id}`] = key.key?.id ?? key.id;
  }
  const batch = await api.post('/api/v1/keys', { alias: 'Nightly batch', group: id.Platform, tags: ['nightly'], ttl: '30d' });
  secrets.batch = batch.secret;
  const old = await api.post('/api/v1/keys', { alias: 'Left the company', group: id.Marketing });
  await api.ask('PATCH', `/api/v1/keys/${old.key?.id ?? old.id}`, { blocked: true });
  await api.put('/api/v1/policies/long-prompts', { text: POLICY, group: id.Research });
  await api.put('/api/v1/policies/night', { text: NIGHT });
}

const POLICY = `// Long prompts go to the large model; drafts stay cheap.
fn route(call, candidates) {
    if call.input_tokens > 90_000 {
        prefer("tag:overseas");
    }
    if "draft" in call.tags {
        exclude("channel:OpenAI (west)");
    }
}
`;
const NIGHT = `fn admit(call) {
    if call.model == "forbidden" { deny("ask the platform team first"); }
}
`;

const WORDS = 'please look at the following report and tell me in three sentences what matters for our customers in it '.split(' ');
const words = (n: number) => Array.from({ length: n }, (_, at) => WORDS[at % WORDS.length]).join(' ');

/** A day's calls: more on some days than on others, some of them failing. */
async function work(api: Api, secrets: Record<string, string>, day: number) {
  const models = ['gpt-4o', 'gpt-4o-mini', 'claude-sonnet-4-5', 'deepseek-chat', 'gpt-4o'];
  const turns = 6 + ((day * 5) % 7);
  const who = Object.keys(secrets);
  for (let turn = 0; turn < turns; turn++) {
    const calls = who.map((it, index) => {
      const model = it === 'zhou.min' || it === 'noor' ? 'gpt-4o-mini' : (models[(turn + index) % models.length] ?? 'gpt-4o');
      const caller = new Api(api.url, secrets[it] ?? '');
      const more = { stream: false, max_tokens: 400, tags: turn % 4 ? undefined : ['draft'], user: turn % 3 ? undefined : 'customer-17' };
      return caller.chat(model, words(20 + ((turn * 37 + index * 61) % 240)), more).catch(() => undefined);
    });
    await Promise.all(calls);
  }
  await new Api(api.url, secrets['lin.wei'] ?? '').chat('wobbly', 'are you there?');
}

/** What happened last: a fallback, a refusal, a stream, a policy's word. */
async function lately(api: Api, secrets: Record<string, string>, id: Record<string, string>) {
  const as = (who: string) => new Api(api.url, secrets[who] ?? '');
  const last = async (who: string): Promise<string> => {
    await new Promise((done) => setTimeout(done, 700));
    const { items }: Json = await api.get(`/api/v1/records?key=${encodeURIComponent(id[`key ${who}`] ?? '')}&limit=1`);
    return items[0]?.call ?? '';
  };
  for (let turn = 0; turn < 3; turn++) await as('lin.wei').chat('wobbly', 'are you there?');
  id['call fallback'] = await last('lin.wei');
  await streamed(api.url, secrets.ada ?? '');
  id['call stream'] = await last('ada');
  await as('ada').chat('gpt-4o', words(120), { max_tokens: 300 });
  id['call well'] = await last('ada');
  for (let turn = 0; turn < 30; turn++) {
    const { status } = await as('zhou.min').chat('gpt-4o-mini', words(300), { max_tokens: 800 });
    if (status === 429) break;
  }
  id['call refused'] = await last('zhou.min');
  await as('noor').chat('gpt-4o', 'may I?');
  id['call forbidden'] = await last('noor');
}

async function streamed(url: string, secret: string) {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o', stream: true, max_tokens: 200, messages: [{ role: 'user', content: words(60) }] }),
  });
  await answer.text();
}
