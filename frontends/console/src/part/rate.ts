// What tokens cost at this moment.

import type { Schemas } from '../api/client';
import { card, currencyOf } from './cost';
import { useFormat } from './format';

type Price = Schemas['Price'];

/** What holds at this moment, in the currency that it is in. */
export function useRate() {
  const format = useFormat();
  return (
    whole: Price | null | undefined,
    of: 'input' | 'output' | 'cache_read' | 'cache_write',
    now?: Price,
  ) => {
    const value = whole && (now ?? card(whole, Date.now(), undefined))[of];
    return value == null ? '–' : format.perMillion(value, currencyOf(whole));
  };
}
