import { expect, test } from 'vitest';
import type { Schemas } from '../api/client';
import { currencyOf } from './cost';
import { isPriced, parts } from './price';

type Price = Schemas['Price'];

test.each<[string, Price | undefined, boolean]>([
  ['nothing', undefined, false],
  ['no amounts', {}, false],
  ['both ways', { input: 0, output: 0 }, true],
  ['one way alone', { input: 1 }, false],
  ['units', { per_unit: 40_000_000_000 }, true],
  ['units by size', { more: { units: [{ size: '1024x1024', per_unit: 1 }] } }, true],
  ['no units by size', { more: { units: [] } }, false],
])('with %s it is priced or not', (_, price, want) => {
  expect(isPriced(price)).toBe(want);
});

test('amounts are in the currency of the price, which is dollars where none is named', () => {
  expect(currencyOf(undefined)).toBe('USD');
  expect(currencyOf({ input: 1 })).toBe('USD');
  expect(currencyOf({ more: { exchange: { currency: 'CNY', per_usd_ppm: 7_200_000 } } })).toBe('CNY');
});

test('what no column has is listed, and what is free or unknown as that', () => {
  const price: Price = {
    input: 1_000_000,
    output: 2_000_000,
    audio_in: 0,
    audio_out: null,
    per_unit: 40_000_000_000,
    per_request_nano_usd: 0,
    more: {
      image_out: 30_000_000,
      per_search_nano_usd: 10_000_000,
      search_sizes: [{ size: 'high', fee_nano_usd: 12_000_000 }],
      units: [{ size: '1024x1024', quality: 'hd', per_unit: 80_000_000_000 }, { per_unit: 50_000_000_000 }],
    },
  };
  expect(parts(price)).toEqual([
    { kind: 'units', pico: 80_000_000_000, of: '1024x1024 hd' },
    { kind: 'units', pico: 50_000_000_000 },
    { kind: 'units', pico: 40_000_000_000 },
    { kind: 'searches', pico: 12_000_000_000, of: 'high' },
    { kind: 'searches', pico: 10_000_000_000 },
    { kind: 'audio_in', pico: 0 },
    { kind: 'image_out', pico: 30_000_000 },
  ]);
  expect(parts({ input: 1, output: 2, cache_read: 1, cache_write: 3 })).toEqual([]);
});
