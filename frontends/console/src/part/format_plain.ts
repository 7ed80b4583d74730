// Numbers, money and times as somebody reads them. Without React, since charts are drawn beside the page.

export type Metric = 'requests' | 'input_tokens' | 'output_tokens' | 'total_tokens' | 'spend' | 'concurrency';

const NANO = 1e9;

type Unit = 'millisecond' | 'second' | 'minute' | 'hour' | 'day';

const ENGLISH: Record<Unit, string> = { millisecond: 'ms', second: 's', minute: 'min', hour: 'h', day: 'd' };

const SPANS: [Unit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
  ['millisecond', 1],
];

export function formats(language: 'en' | 'zh', zone: string, currency: 'USD' | 'CNY', rate: number) {
  const locale = language === 'zh' ? 'zh-CN' : 'en-US';
  const timeZone = zone || undefined;
  const factor = currency === 'CNY' ? rate : 1;
  const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  const decimal = new Intl.NumberFormat(locale, { maximumFractionDigits: 6 });
  const short = new Intl.NumberFormat(locale, { notation: 'compact', maximumFractionDigits: 1 });
  const percent = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 });
  const change = new Intl.NumberFormat(locale, {
    style: 'percent',
    maximumFractionDigits: 1,
    signDisplay: 'exceptZero',
  });
  const stamp = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium', timeZone });
  const moment = new Intl.DateTimeFormat(locale, {
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZone,
  });
  const minute = new Intl.DateTimeFormat(locale, {
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    timeZone,
  });
  const day = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeZone });
  const date = new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric', timeZone });
  const year = new Intl.DateTimeFormat('en-US', { year: 'numeric', timeZone });
  const thisYear = year.format(Date.now());
  const since = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  const own = new Map<number, Intl.NumberFormat>();
  const moneyBy = (digits: number) => {
    let made = own.get(digits);
    if (!made) {
      made = new Intl.NumberFormat(locale, {
        style: 'currency',
        currency,
        currencyDisplay: 'narrowSymbol',
        minimumFractionDigits: Math.min(digits, 2),
        maximumFractionDigits: digits,
      });
      own.set(digits, made);
    }
    return made;
  };
  /** Nano-USD; small amounts with as many digits as tell them from nothing. */
  const money = (nano: number) => {
    const amount = (nano / NANO) * factor;
    const size = Math.abs(amount);
    return moneyBy(size === 0 || size >= 1 ? 2 : size >= 0.01 ? 4 : 6).format(amount);
  };
  /** Pico-USD a token, as people say it: for a million tokens, in the currency that the reader has chosen. */
  const price = (pico: number) => moneyBy(4).format((pico / 1e6) * factor);
  /** An amount of any currency, as it is written there; small ones with as many digits as tell them from nothing. */
  const cash = (amount: number, of: string) => {
    const digits = amount === 0 || amount >= 1 ? 2 : amount >= 0.01 ? 4 : 8;
    return new Intl.NumberFormat(locale, {
      style: 'currency',
      currency: of,
      currencyDisplay: 'narrowSymbol',
      minimumFractionDigits: 2,
      maximumFractionDigits: digits,
    }).format(amount);
  };
  /** Pico of a currency for a token, as people say it: for a million of them, in that currency. */
  const perMillion = (pico: number, of: string) => {
    const amount = pico / 1e6;
    return new Intl.NumberFormat(locale, {
      style: 'currency',
      currency: of,
      currencyDisplay: 'narrowSymbol',
      minimumFractionDigits: 2,
      maximumFractionDigits: amount === 0 || amount >= 0.01 ? 4 : 8,
    }).format(amount);
  };
  const units = new Map<string, Intl.NumberFormat>();
  /** A length in one unit. English ones are shorter than what browsers have for them. */
  const length = (amount: number, unit: Unit, digits = 0) => {
    if (language === 'en') return `${amount.toFixed(digits)} ${ENGLISH[unit]}`;
    const known = units.get(`${unit} ${digits}`);
    const made =
      known ??
      new Intl.NumberFormat(locale, {
        style: 'unit',
        unit,
        unitDisplay: 'short',
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
        useGrouping: false,
      });
    if (!known) units.set(`${unit} ${digits}`, made);
    return made.format(amount);
  };
  const between = language === 'en' ? ' ' : '';
  const duration = (ms: number) => {
    if (ms < 1) return ms >= 0.01 ? length(ms, 'millisecond', 2) : `< ${length(1, 'millisecond')}`;
    if (ms < 999.5) return length(ms, 'millisecond');
    if (ms < 59_950) return length(ms / 1000, 'second', ms < 9_995 ? 2 : 1);
    const seconds = Math.round(ms / 1000);
    if (seconds < 3_600) {
      return `${length(Math.floor(seconds / 60), 'minute')}${between}${length(seconds % 60, 'second')}`;
    }
    const minutes = Math.floor(seconds / 60);
    if (minutes < 48 * 60) {
      return `${length(Math.floor(minutes / 60), 'hour')}${between}${length(minutes % 60, 'minute')}`;
    }
    return length(minutes / 1_440, 'day');
  };
  /** A length as somebody set it: in the largest unit that it is whole in. */
  const span = (ms: number) => {
    const [unit, size] = SPANS.find(([, size]) => ms !== 0 && ms % size === 0) ?? ['second' as const, 1_000];
    return length(ms / size, unit);
  };
  const ago = (at: number, now = Date.now()) => {
    const seconds = (at - now) / 1000;
    const size = Math.abs(seconds);
    if (size < 60) return since.format(Math.round(seconds), 'second');
    if (size < 3600) return since.format(Math.round(seconds / 60), 'minute');
    if (size < 86_400) return since.format(Math.round(seconds / 3600), 'hour');
    return since.format(Math.round(seconds / 86_400), 'day');
  };
  return {
    money,
    cash,
    price,
    perMillion,
    duration,
    span,
    ago,
    whole: (n: number) => whole.format(n),
    decimal: (n: number) => decimal.format(n),
    short: (n: number) => (Math.abs(n) < 10_000 ? whole.format(n) : short.format(n)),
    percent: (share: number) => percent.format(share),
    /** By how much it is more, or less, than it was; of nothing there is no share. */
    change: (now: number | null | undefined, was: number | null | undefined) =>
      now != null && was != null && was > 0 ? change.format((now - was) / was) : undefined,
    time: (ms: number) => stamp.format(ms),
    minute: (ms: number) => minute.format(ms),
    day: (ms: number) => day.format(ms),
    /** The same, shorter, where there are many: without a year that everybody knows. */
    moment: (ms: number) => (year.format(ms) === thisYear ? moment : stamp).format(ms),
    date: (ms: number) => (year.format(ms) === thisYear ? date : day).format(ms),
    /** An amount of a limit. */
    amount: (metric: Metric, n: number) => (metric === 'spend' ? money(n) : whole.format(n)),
    symbol: currency === 'CNY' ? '¥' : '$',
    factor,
  };
}

export type Formats = ReturnType<typeof formats>;
