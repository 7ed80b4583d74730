// What a price says beside input, output and the cache.

import type { Schemas } from '../api/client';
import type { Kind } from './cost';

type Price = Schemas['Price'];

/** Whether calls are charged: by tokens, for which both ways have a price, or by units. */
export function isPriced(price: Price | null | undefined): boolean {
  if (!price) return false;
  const byUnits = price.per_unit != null || (price.more?.units?.length ?? 0) > 0;
  return (price.input != null && price.output != null) || byUnits;
}

/** `pico` of the price's currency for a token, or for one of what isn't counted in tokens. `of` tells one of a kind from others. */
export type Part = { kind: Kind | 'request'; pico: number; of?: string };

const EACH: readonly Part['kind'][] = ['units', 'searches', 'request'];

export function isEach(part: Part): boolean {
  return EACH.includes(part.kind);
}

/** What the prompt cache costs, for which lists have columns. */
export function cached(price: Pick<Price, 'cache_read' | 'cache_write'>): Part[] {
  return (['cache_read', 'cache_write'] as const).flatMap((kind) => {
    const pico = price[kind];
    return pico == null ? [] : [{ kind, pico }];
  });
}

/** The amounts that no column has. */
export function parts(price: Price): Part[] {
  const more = price.more;
  const fee = (nano: number | null | undefined) => (nano ? nano * 1000 : null);
  const found: [Part['kind'], number | null | undefined, string?][] = [
    ...(more?.units ?? []).map((it): [Part['kind'], number, string] => [
      'units',
      it.per_unit,
      [it.size, it.quality].filter(Boolean).join(' '),
    ]),
    ['units', price.per_unit],
    ['request', fee(price.per_request_nano_usd)],
    ...(more?.search_sizes ?? []).map((it): [Part['kind'], number, string] => [
      'searches',
      it.fee_nano_usd * 1000,
      it.size,
    ]),
    ['searches', fee(more?.per_search_nano_usd)],
    ['cache_write_1h', price.cache_write_1h],
    ['output_reasoning', price.output_reasoning],
    ['audio_in', price.audio_in],
    ['audio_out', price.audio_out],
    ['cache_read_audio', more?.cached_audio_in],
    ['image_in', more?.image_in],
    ['image_out', more?.image_out],
    ['cache_read_image', more?.cached_image_in],
  ];
  return found.flatMap(([kind, pico, of]) => (pico == null ? [] : [{ kind, pico, ...(of && { of }) }]));
}
