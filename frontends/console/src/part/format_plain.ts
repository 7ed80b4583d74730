// Numbers, money and times as somebody reads them. Without React, since charts are drawn beside the page.

export type Metric = 'requests' | 'input_tokens' | 'output_tokens' | 'total_tokens' | 'spend' | 'concurrency';

const NANO = 1e9;

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
  /** Pico-USD a token, as people say it: for a million tokens. */
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
  const duration = (ms: number) => {
    if (ms < 1) return ms >= 0.01 ? `${ms.toFixed(2)} ms` : '< 1 ms';
    if (ms < 1000) return `${Math.round(ms)} ms`;
    if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
    const minutes = Math.floor(ms / 60_000);
    if (minutes < 60) return `${minutes} min ${Math.round((ms % 60_000) / 1000)} s`;
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} d`;
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
    duration,
    ago,
    whole: (n: number) => whole.format(n),
    decimal: (n: number) => decimal.format(n),
    short: (n: number) => (Math.abs(n) < 10_000 ? whole.format(n) : short.format(n)),
    percent: (share: number) => percent.format(share),
    /** By how much more or less. */
    change: (share: number) => change.format(share),
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
