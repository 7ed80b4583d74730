import { expect, test } from 'vitest';
import { formats } from './format_plain';

test('lengths that were set are said in the unit that they are whole in', () => {
  const [en, zh] = [formats('en', 'UTC', 'USD', 1), formats('zh', 'UTC', 'USD', 1)];
  const cases: [number, string, string][] = [
    [0, '0 s', '0秒'],
    [200, '200 ms', '200毫秒'],
    [1_500, '1500 ms', '1500毫秒'],
    [30_000, '30 s', '30秒'],
    [90_000, '90 s', '90秒'],
    [900_000, '15 min', '15分钟'],
    [7_200_000, '2 h', '2小时'],
    [2_592_000_000, '30 d', '30天'],
  ];
  for (const [ms, english, chinese] of cases) {
    expect([en.span(ms), zh.span(ms)], String(ms)).toEqual([english, chinese]);
  }
});

test('lengths of time are said in the language, and rounded once', () => {
  const [en, zh] = [formats('en', 'UTC', 'USD', 1), formats('zh', 'UTC', 'USD', 1)];
  const cases: [number, string, string][] = [
    [0, '< 1 ms', '< 1毫秒'],
    [0.25, '0.25 ms', '0.25毫秒'],
    [333, '333 ms', '333毫秒'],
    [999.7, '1.00 s', '1.00秒'],
    [2_310, '2.31 s', '2.31秒'],
    [42_000, '42.0 s', '42.0秒'],
    [59_980, '1 min 0 s', '1分钟0秒'],
    [333_000, '5 min 33 s', '5分钟33秒'],
    [359_900, '6 min 0 s', '6分钟0秒'],
    [3_900_000, '1 h 5 min', '1小时5分钟'],
    [172_800_000, '2 d', '2天'],
  ];
  for (const [ms, english, chinese] of cases) {
    expect([en.duration(ms), zh.duration(ms)], String(ms)).toEqual([english, chinese]);
  }
});

test('a price is said for a million tokens in its own currency, whichever the reader has chosen', () => {
  const it = formats('en', 'UTC', 'CNY', 7.1);
  const cases: [number, string, string][] = [
    [0, 'USD', '$0.00'],
    [7_200_000, 'CNY', '¥7.20'],
    [1_125_000, 'USD', '$1.125'],
    [3_500, 'USD', '$0.0035'],
    [12, 'USD', '$0.000012'],
  ];
  for (const [pico, currency, want] of cases) expect(it.perMillion(pico, currency), want).toBe(want);
});

test('a change is a share of what was, and of nothing there is none', () => {
  const format = formats('en', 'UTC', 'USD', 1);
  expect([format.change(15, 10), format.change(5, 10), format.change(0, 10), format.change(10, 10)]).toEqual([
    '+50%',
    '-50%',
    '-100%',
    '0%',
  ]);
  for (const [now, was] of [
    [5, 0],
    [5, null],
    [null, 5],
    [undefined, undefined],
  ]) {
    expect(format.change(now, was)).toBeUndefined();
  }
});
