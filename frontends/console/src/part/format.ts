// Numbers, money and times, as this person reads them.

import { useMemo } from 'react';
import { useSpoken } from '../app/preference';
import { type Formats, formats } from './format_plain';

export type { Formats, Metric } from './format_plain';

export function useFormat(): Formats {
  const { language, zone, currency, rate } = useSpoken();
  return useMemo(() => formats(language, zone, currency, rate), [language, zone, currency, rate]);
}
