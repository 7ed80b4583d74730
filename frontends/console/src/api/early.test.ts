import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { askEarly, fetchOnce } from './early';

const HERE = 'http://gateway.example';
const asked = vi.fn((input: string | Request) => {
  const url = typeof input === 'string' ? input : input.url;
  return url.includes('broken')
    ? Promise.reject(new TypeError('failed'))
    : Promise.resolve(new Response(url));
});

beforeEach(() => {
  vi.stubGlobal('location', { href: `${HERE}/overview` });
  vi.stubGlobal('fetch', asked);
  asked.mockClear();
});
afterEach(() => vi.unstubAllGlobals());

test('what was asked early is asked once, in whatever order its parameters stand', async () => {
  askEarly('/api/v1/limits?limit=6&sort=-used');
  const answer = await fetchOnce(new Request(`${HERE}/api/v1/limits?sort=-used&limit=6`));
  expect(await answer.text()).toBe('/api/v1/limits?limit=6&sort=-used');
  expect(asked).toHaveBeenCalledTimes(1);
  await fetchOnce(new Request(`${HERE}/api/v1/limits?sort=-used&limit=6`));
  expect(asked).toHaveBeenCalledTimes(2);
});

test('another question, and any change, is asked by itself', async () => {
  askEarly('/api/v1/session');
  await fetchOnce(new Request(`${HERE}/api/v1/session?x=1`));
  await fetchOnce(new Request(`${HERE}/api/v1/session`, { method: 'POST' }));
  expect(asked).toHaveBeenCalledTimes(3);
});

test('what was answered before somebody signed in is asked again', async () => {
  askEarly('/api/v1/reports/overview');
  await fetchOnce(new Request(`${HERE}/api/v1/session`, { method: 'POST' }));
  await fetchOnce(new Request(`${HERE}/api/v1/reports/overview`));
  expect(asked).toHaveBeenCalledTimes(3);
});

test('who takes an answer that failed hears of it', async () => {
  askEarly('/api/v1/broken');
  await expect(fetchOnce(new Request(`${HERE}/api/v1/broken`))).rejects.toThrow('failed');
});
