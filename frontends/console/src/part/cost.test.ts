import { describe, expect, test } from 'vitest';
import type { Schemas } from '../api/client';
import { card, costLines } from './cost';

type Price = Schemas['Price'];
type Attempt = Schemas['Attempt'];

const attempt = (it: Partial<Attempt>): Attempt =>
  ({ channel: 'c', model: 'm', outcome: 'ok', started_at: 0, ...it }) as Attempt;

/** USD for a million tokens. */
const M = 1_000_000;
const LIST: Price = { input: 2.5 * M, output: 10 * M, cache_read: 1.25 * M };

describe('what a call cost, kind by kind', () => {
  const usage = { input_uncached: 1000, cache_read: 400, output_visible: 200, output_reasoning: 100 };
  test.each<[string, Partial<Attempt>, Price, [string, number, number, number][] | undefined]>([
    [
      'each kind at its price, and reasoning as output',
      { usage, cost: 6_000_000, spend: 6_000_000 },
      LIST,
      [
        ['input_uncached', 1000, 2.5 * M, 2_500_000],
        ['cache_read', 400, 1.25 * M, 500_000],
        ['output_visible', 200, 10 * M, 2_000_000],
        ['output_reasoning', 100, 10 * M, 1_000_000],
      ],
    ],
    [
      'a price that has changed since comes to something else',
      { usage, cost: 6_000_002, spend: 0 },
      LIST,
      undefined,
    ],
    [
      'a long prompt has the price of long ones',
      { usage: { input_uncached: 2000 }, cost: 10_000_000 },
      { ...LIST, tiers: [{ above_input_tokens: 1999, input: 5 * M }] },
      [['input_uncached', 2000, 5 * M, 10_000_000]],
    ],
    [
      'a fee for the call',
      { usage: { output_visible: 1 }, cost: 10_007 },
      { ...LIST, per_request_nano_usd: 7 },
      [
        ['output_visible', 1, 10 * M, 10_000],
        ['request', 1, 7000, 7],
      ],
    ],
    [
      'searches by how much they read',
      { usage: { searches: 2 }, cost: 24_000_000, variant: { size: 'high' } },
      { more: { search_sizes: [{ size: 'high', fee_nano_usd: 12_000_000 }] } },
      [['searches', 2, 12_000_000_000, 24_000_000]],
    ],
    [
      'images by size',
      { usage: { units: 1 }, cost: 80_000_000, variant: { size: 'b' } },
      {
        more: {
          units: [
            { size: 'a', per_unit: 4e10 },
            { size: 'b', per_unit: 8e10 },
          ],
        },
      },
      [['units', 1, 8e10, 80_000_000]],
    ],
    ['what had no price', { usage, cost: 0, priced: false }, LIST, undefined],
    [
      'the rates that the record keeps, whatever the price is by now',
      {
        usage: { input_uncached: 1000, output_visible: 10 },
        rates: { input_uncached: 3 * M, output_visible: 0, request: 7000 },
        cost: 3_000_007,
      },
      LIST,
      [
        ['input_uncached', 1000, 3 * M, 3_000_000],
        ['output_visible', 10, 0, 0],
        ['request', 1, 7000, 7],
      ],
    ],
  ])('%s', (_, it, price, want) => {
    const found = costLines(attempt(it), [{ input: 1 }, price]);
    expect(found?.lines.map((line) => [line.kind, line.amount, line.rate, line.pico / 1000])).toEqual(want);
  });

  test('another currency, the ratio of the caller, and a region', () => {
    const exchange = { currency: 'CNY', per_usd_ppm: 7_200_000 } as object as Attempt['exchange'];
    // 1000 tokens at 7.2 CNY for a million are a thousandth of a USD.
    const it = attempt({ usage: { input_uncached: 1000 }, cost: 1_000_000, spend: 800_000, exchange });
    expect(costLines(it, [{ input: 7.2 * M }])).toMatchObject({ currency: 'CNY', perUsd: 7.2, ratio: 0.8 });
    const there = attempt({ usage: { input_uncached: 1000 }, cost: 2_750_000, variant: { region: 'eu' } });
    expect(costLines(there, [LIST])?.region).toEqual({ name: 'eu', ratio: 1.1 });
    const kept = { ...there, rates: { input_uncached: 2.5 * M } };
    expect(costLines(kept, [])?.region).toEqual({ name: 'eu', ratio: 1.1 });
  });
});

test('the price is that of the time and the tier', () => {
  const night = { input: 1 };
  const price: Price = {
    input: 3,
    more: {
      windows: [{ times: [{ from_minute: 10_000, to_minute: 60 }], price: night }],
      changes: [{ from: 2_000_000_000_000, price: { input: 9 } }],
      service_tiers: [{ tier: 'flex', price: { input: 2 } }],
    },
  };
  const monday = Date.UTC(2026, 10, 30);
  expect(card(price, monday + 59 * 60_000, null)).toBe(night);
  expect(card(price, monday + 60 * 60_000, null).input).toBe(3);
  expect(card(price, monday + 60 * 60_000, 'flex').input).toBe(2);
  expect(card(price, 2_000_000_000_000, 'flex').input).toBe(9);
});
