import { expect, test } from 'vitest';
import type { Schemas } from '../api/client';
import { type ChannelValues, declared, edit, type Provider } from './provider';

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
