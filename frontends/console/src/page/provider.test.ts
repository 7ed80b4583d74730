import { expect, test } from 'vitest';
import type { Schemas } from '../api/client';
import { type ChannelValues, declared, edit, moves, nearer, ownOf, type Provider, titleOf } from './provider';

const values: ChannelValues = {
  name: ' one ',
  provider: 'openai',
  address: 'https://api.openai.com/v1',
  models: [{ group: 'gpt-5.4' }, { group: 'fast', upstream: 'gpt-5.4-mini' }, { group: ' ' }],
};
const card = { id: 'openai', form: { address: 'https://api.openai.com/v1' } } as Provider;

test('a new channel says what the catalogue can not know', () => {
  expect(declared(values, card)).toEqual({
    name: 'one',
    provider: 'openai',
    models: ['gpt-5.4', { name: 'fast', upstream: 'gpt-5.4-mini' }],
    groups: [],
    tags: [],
    priority: 0,
    weight: 1,
    enabled: true,
  });
});

test('another address, and a variable for the credential', () => {
  const made = declared({ ...values, address: 'https://proxy.example/v1', environment: 'KEY' }, card);
  expect(made).toMatchObject({ url: 'https://proxy.example/v1', credential: ['$', '{KEY}'].join('') });
});

test('a change names what changed, and models keep what is known of them', () => {
  const priced = { group: 'gpt-5.4', upstream: 'gpt-5.4', price: { input: 1 } };
  const before = {
    id: 'c',
    name: 'one',
    provider: 'openai',
    endpoints: [],
    models: [priced],
    weight: 1,
  } as unknown as Schemas['Channel'];
  const same = { name: 'one', provider: 'openai', models: [{ group: 'gpt-5.4', upstream: 'gpt-5.4' }] };
  expect(edit(same, before)).toEqual({});
  expect(edit({ ...same, weight: 3, models: [...same.models, { group: 'new' }] }, before)).toEqual({
    weight: 3,
    models: [priced, 'new'],
  });
});

const priced = {
  group: 'm',
  upstream: 'm',
  price: { input: 2_500_000, cache_read: 1_250_000, tiers: [] },
  context_window: 128_000,
};
const saved = {
  id: 'c',
  name: 'one',
  provider: 'openai',
  auth: 'bearer',
  has_secret: true,
  endpoints: [{ format: 'openai_chat', url: 'https://a.example/v1/chat/completions' }],
  models: [priced],
} as unknown as Schemas['Channel'];
const shown = (part: Partial<ChannelValues>): ChannelValues => ({
  name: 'one',
  provider: 'openai',
  auth: 'bearer',
  endpoints: [{ format: 'openai_chat', url: 'https://a.example/v1/chat/completions' }],
  models: [{ group: 'm', upstream: 'm', own: ownOf(saved.models[0] as never) }],
  ...part,
});

test('a price is written for a million tokens, and what the form does not show stays', () => {
  expect(ownOf(saved.models[0] as never)).toEqual({ input: 2.5, cache_read: 1.25, context_window: 128_000 });
  expect(edit(shown({}), saved)).toEqual({});
  const own = { input: 3, output: 0.15, cache_read: null, context_window: 128_000, max_output: 4096 };
  expect(edit(shown({ models: [{ group: 'm', upstream: 'm', own }] }), saved)).toEqual({
    models: [
      {
        ...priced,
        price: { input: 3_000_000, output: 150_000, cache_read: null, tiers: [] },
        max_output: 4096,
      },
    ],
  });
});

test('the price of a model that is new is said, too', () => {
  const own = { input: 1, cache_read: 0, max_output: 5 };
  const models = [{ group: 'mine', upstream: 'theirs', own }, { group: 'known' }];
  expect(declared({ ...values, models }, card).models).toEqual([
    { name: 'mine', upstream: 'theirs', price: { input: 1, cached_input: 0 }, max_output: 5 },
    'known',
  ]);
  expect(edit(shown({ models }), saved).models).toEqual([
    { group: 'mine', upstream: 'theirs', price: { input: 1_000_000, cache_read: 0 }, max_output: 5 },
    'known',
  ]);
});

test.each([
  [{}, false],
  [{ name: 'two', weight: 3 }, false],
  [{ endpoints: [{ format: 'openai_chat', url: 'https://b.example/v1/chat/completions' }] }, true],
  [{ endpoints: [] }, true],
  [{ auth: 'header', header: 'x-api-key' }, true],
  [{ auth: 'none' }, true],
] as [Partial<ChannelValues>, boolean][])('%j sends the credential elsewhere: %s', (part, is) => {
  expect(moves(shown(part), saved)).toBe(is);
});

test('where nothing is sent any more, the credential is given up on purpose', () => {
  expect(edit(shown({ auth: 'none' }), saved)).toEqual({ auth: 'none', secret: '' });
  expect(edit(shown({ auth: 'none', secret: 's' }), saved)).toEqual({ auth: 'none', secret: 's' });
});

test('who is called as one searches comes first', () => {
  const named = (value: string, label: string) => ({ value, label });
  const found = [
    named('azure', 'Azure OpenAI'),
    named('hunyuan', 'Tencent Hunyuan (OpenAI compatible)'),
    named('openaimax', 'OpenAIMax'),
    named('openai', 'OpenAI'),
  ];
  const order = (searched: string) => found.toSorted((a, b) => nearer(searched, a, b)).map((it) => it.value);
  expect(order('OpenAI ')).toEqual(['openai', 'openaimax', 'azure', 'hunyuan']);
  expect(order('openai c')).toEqual(found.map((it) => it.value));
});

test('whoever is searched by a Chinese name is found by it', () => {
  const found = [
    { label: 'Moonshot AI Kimi', value: 'moonshot-cn', chinese: '月之暗面' },
    { label: '豆包 proxy', value: 'mine', chinese: '' },
    { label: 'ByteDance Volcengine Ark', value: 'volcengine', chinese: '火山方舟 豆包' },
  ];
  expect(found.toSorted((a, b) => nearer('豆包', a, b))[0]?.value).toBe('volcengine');
  const ark = { name: 'Volcengine Ark', chinese: ['火山方舟'] } as Provider;
  expect([titleOf(ark, 'zh'), titleOf(ark, 'en')]).toEqual(['火山方舟 · Volcengine Ark', 'Volcengine Ark']);
  const named = { name: 'StepFun 阶跃星辰', chinese: ['阶跃星辰'] } as Provider;
  expect(titleOf(named, 'zh')).toBe('StepFun 阶跃星辰');
});
