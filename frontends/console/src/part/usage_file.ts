// A report as a file for spreadsheets, as somebody reads it: names beside ids, times of the chosen zone, amounts in the chosen currency.

import type { Schemas } from '../api/client';
import { kindOf, type Measure, type Metrics } from './chart_data';
import { wall } from './zone';

type Report = Pick<Schemas['UsageReport'], 'buckets' | 'rows' | 'others'>;

type How = {
  /** What is told apart: its heading, and, where ids have names, the heading of those. */
  by: { of: string; title: string; named?: string }[];
  measures: { of: Measure; title: string }[];
  name: (of: string, id: string) => string;
  from: string;
  to: string;
  others: string;
  none: string;
  zone: string;
  /** So much of the currency is a dollar. */
  factor: number;
};

/** A text that begins like a formula gets an apostrophe in front, which spreadsheets take for "this is text". */
function cell(text: string): string {
  const guarded =
    /^[\s\u00a0\ufeff]*[=+\-@|%＝＋－＠]|^\s*[\t\r\n]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text);
  return `"${(guarded ? `'${text}` : text).replaceAll('"', '""')}"`;
}

/** Without exponents, and without zeroes behind. */
function plain(n: number): string {
  const text = n.toFixed(9);
  return text.replace(/\.?0+$/, '');
}

function figure(of: Measure, metrics: Metrics | undefined, factor: number): string {
  const n = metrics?.[of];
  if (n == null) return '';
  return kindOf(of) === 'money' ? plain((n / 1e9) * factor) : plain(n);
}

/** A line for each row and step of time, with a mark in front by which spreadsheets know the encoding. */
export function usageFile(report: Report, how: How): string {
  const time = (ms: number) => wall(ms, how.zone).format('YYYY-MM-DD HH:mm');
  const head = [how.from, how.to].concat(
    how.by.flatMap((it) => (it.named ? [it.named, it.title] : [it.title])),
    how.measures.map((it) => it.title),
  );
  const rows = report.rows.map((row) => ({
    by: how.by.flatMap(({ of, named }) => {
      const id = row.by[of] ?? '';
      if (!named) return [id || how.none];
      return id ? [how.name(of, id), id] : [how.none, ''];
    }),
    series: row.series,
  }));
  if (report.others) {
    const by = how.by.flatMap(({ named }) => (named ? [how.others, ''] : [how.others]));
    rows.push({ by, series: report.others.series });
  }
  const lines = report.buckets.flatMap((bucket, at) =>
    rows.map((row) => [
      time(bucket.from),
      time(bucket.to),
      ...row.by,
      ...how.measures.map((it) => figure(it.of, row.series[at], how.factor)),
    ]),
  );
  return `\ufeff${[head, ...lines].map((line) => `${line.map(cell).join(',')}\r\n`).join('')}`;
}
