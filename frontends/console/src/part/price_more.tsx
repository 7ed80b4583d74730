import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { currencyOf } from './cost';
import { useFormat } from './format';
import { cached, isEach, type Part, parts } from './price';
import { dayNames, type Hours, hoursOf } from './week';

type Price = Schemas['Price'];
type Ways = Price | Schemas['PriceTier'];

/** Steps by the prompt's length, prices that hold from a date on, and what isn't plain input and output. */
export function PriceMore({ price }: { price: Price }) {
  const { t, i18n } = useTranslation();
  const format = useFormat();
  const currency = currencyOf(price);
  const rate = (pico: number | null | undefined) => (pico == null ? '–' : format.perMillion(pico, currency));
  const each = (pico: number) => t('cost.each', { price: format.cash(pico / 1e12, currency) });
  const part = (it: Part) => {
    const name = `${t(`request.kind.${it.kind}`)}${it.of ? ` (${it.of})` : ''}`;
    return `${name}: ${isEach(it) ? each(it.pico) : t('cost.perMillion', { price: rate(it.pico) })}`;
  };
  // No column says anything of these: all of it is said here.
  const say = (it: Ways) => {
    const ways = it.input == null && it.output == null ? [] : [`${rate(it.input)} / ${rate(it.output)}`];
    return [...ways, ...[...cached(it), ...parts(it)].map(part)].join('; ') || '–';
  };
  const during = ({ days, from, to }: Hours) =>
    `${days.length === 7 ? t('price.daily') : dayNames(days, i18n.language)} ${from}–${to}`;
  const lines = [
    ...parts(price).map(part),
    ...(price.tiers ?? []).map((it) =>
      t('price.above', { tokens: format.short(it.above_input_tokens ?? 0), price: say(it) }),
    ),
    ...(price.more?.changes ?? []).map((it) =>
      t('price.from', { date: format.day(it.from), price: say(it.price) }),
    ),
    ...(price.more?.service_tiers ?? []).map((it) => `${it.tier}: ${say(it.price)}`),
    ...(price.more?.windows ?? []).map((it) =>
      t('price.during', { times: hoursOf(it.times).map(during).join('; '), price: say(it.price) }),
    ),
  ];
  return lines.length === 0 ? '–' : lines.map((line, index) => <div key={`${index} ${line}`}>{line}</div>);
}
