// What a call cost, kind by kind: the amounts of its record times the rates that it keeps. One that keeps none, as those of older
// versions, is tried with the prices that are known of its model; a price that has changed since doesn't come to what was booked, and
// then there are no lines.

import type { Schemas } from '../api/client';

type Price = Schemas['Price'];
type Usage = Schemas['Usage'];
type Attempt = Schemas['Attempt'];
type Rates = Schemas['UsedRates'];

export const KINDS = [
  'input_uncached',
  'cache_read',
  'cache_read_audio',
  'cache_read_image',
  'cache_write',
  'cache_write_1h',
  'audio_in',
  'image_in',
  'output_visible',
  'output_reasoning',
  'audio_out',
  'image_out',
  'searches',
  'units',
] as const;
export type Kind = (typeof KINDS)[number];

/** `rate` is pico of the price's currency for one, `pico` what all of them come to. A fee for the call has no amount. */
export type Line = { kind: Kind | 'request'; amount: number; rate: number; pico: number };

export type Lines = {
  lines: Line[];
  /** The price's currency, and how many of it one USD was. */
  currency: string;
  perUsd: number;
  /** In which region it was processed, and what its price is times there. */
  region?: { name: string; ratio: number };
  /** At list price, and what the caller paid; nano-USD. */
  cost: number;
  spend: number;
  /** What the caller paid relative to the list price. */
  ratio: number;
};

/** The currency of a price's amounts. */
export function currencyOf(price: Price | null | undefined): string {
  return price?.more?.exchange?.currency ?? 'USD';
}

const WEEK = 7 * 24 * 60;
/** 1970-01-01 was a Thursday. */
const THURSDAY = 3 * 24 * 60;

/** The part of a price that holds for an attempt that begins then, at that tier. */
export function card(price: Price, at: number, tier: string | null | undefined): Price {
  const come = (price.more?.changes ?? []).filter((it) => it.from <= at);
  const then = come.sort((a, b) => a.from - b.from).at(-1)?.price ?? price;
  const minute = (Math.floor(at / 60_000) + THURSDAY) % WEEK;
  const open = then.more?.windows?.find((window) =>
    window.times?.some(({ from_minute: from, to_minute: to }) =>
      from < to ? minute >= from && minute < to : minute >= from || minute < to,
    ),
  );
  const now = open?.price ?? then;
  if (!tier || tier === 'standard') return now;
  return now.more?.service_tiers?.find((it) => it.tier === tier)?.price ?? now;
}

/** What each kind costs for one; what has no price of its own costs as what it is a part of. */
function rates(price: Price, usage: Usage): Record<Exclude<Kind, 'searches' | 'units'>, number> {
  const of = (kind: keyof Usage) => usage[kind] ?? 0;
  const prompt =
    of('input_uncached') +
    of('cache_read') +
    of('cache_read_audio') +
    of('cache_read_image') +
    of('cache_write') +
    of('cache_write_1h') +
    of('audio_in') +
    of('image_in');
  const long = price.tiers?.findLast((it) => prompt > (it.above_input_tokens ?? 0));
  const input = long?.input ?? price.input ?? 0;
  const output = long?.output ?? price.output ?? 0;
  const read = long?.cache_read ?? price.cache_read;
  const write = long?.cache_write ?? price.cache_write ?? input;
  const audio = price.audio_in ?? input;
  const image = price.more?.image_in ?? input;
  return {
    input_uncached: input,
    cache_read: read ?? input,
    cache_read_audio: price.more?.cached_audio_in ?? read ?? audio,
    cache_read_image: price.more?.cached_image_in ?? read ?? image,
    cache_write: write,
    cache_write_1h: long?.cache_write_1h ?? price.cache_write_1h ?? write,
    audio_in: audio,
    image_in: image,
    output_visible: output,
    output_reasoning: long?.output_reasoning ?? price.output_reasoning ?? output,
    audio_out: price.audio_out ?? output,
    image_out: price.more?.image_out ?? output,
  };
}

function lines(price: Price, usage: Usage, variant: Attempt['variant']): Line[] {
  const fits = (own: string | undefined, its: string | undefined) => !own || !its || own === its;
  const listed = price.more?.units ?? [];
  const unit = listed.find((it) => fits(it.size, variant?.size) && fits(it.quality, variant?.quality));
  const other = price.per_unit ?? Math.max(0, ...listed.map((it) => it.per_unit));
  const size = price.more?.search_sizes?.find((it) => it.size === variant?.size);
  const rate: Record<Kind, number> = {
    ...rates(price, usage),
    searches: (size?.fee_nano_usd ?? price.more?.per_search_nano_usd ?? 0) * 1000,
    units: unit?.per_unit ?? other,
  };
  return amounts(usage, { ...rate, request: (price.per_request_nano_usd ?? 0) * 1000 });
}

/** What was used at these rates. */
function amounts(usage: Usage, rates: Rates): Line[] {
  const used = KINDS.map((kind): Line => {
    const [amount, rate] = [usage[kind] ?? 0, rates[kind] ?? 0];
    return { kind, amount, rate, pico: amount * rate };
  }).filter((it) => it.amount > 0);
  const fee = rates.request ?? 0;
  return fee > 0 ? [...used, { kind: 'request', amount: 1, rate: fee, pico: fee }] : used;
}

/** Whether an attempt's record keeps by which rates it was charged, or had none to keep. */
export function isWhole(it: Attempt): boolean {
  return it.rates !== undefined || it.priced === false;
}

/**
 * The lines of an attempt by the rates that its record keeps, else by the first of the prices that comes to what was booked for it;
 * nothing where none does.
 */
export function costLines(it: Attempt, prices: Price[]): Lines | undefined {
  const { usage, rates, cost = 0, spend = 0 } = it;
  if (!usage || it.priced === false) return undefined;
  const exchange = it.exchange as Schemas['Exchange'] | null | undefined;
  const perUsd = (exchange?.per_usd_ppm ?? 1e6) / 1e6;
  const known = rates
    ? [amounts(usage, rates)]
    : prices.map((price) => lines(card(price, it.started_at ?? 0, it.service_tier), usage, it.variant));
  for (const found of known) {
    const nano = found.reduce((sum, line) => sum + line.pico, 0) / 1000 / perUsd;
    const ratio = nano > 0 ? cost / nano : 1;
    const region = it.variant?.region;
    // A region's price is a round part of the list's.
    const times = Math.round(ratio * 1000) / 1000;
    const whole = region && times > 0 ? times : 1;
    if (!rates && Math.abs(nano * whole - cost) > 1 + cost * 1e-9) continue;
    return {
      lines: found,
      currency: exchange?.currency ?? 'USD',
      perUsd,
      region: region && whole !== 1 ? { name: region, ratio: whole } : undefined,
      cost,
      spend,
      ratio: cost > 0 ? spend / cost : 1,
    };
  }
  return undefined;
}
