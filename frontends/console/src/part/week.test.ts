import { expect, test } from 'vitest';
import { dayNames, hoursOf } from './week';

const DAY = 1_440;
const span = (from: number, to: number) => ({ from_minute: from, to_minute: to });
const daily = (from: number, to: number, days: number[]) =>
  days.map((day) => span(day * DAY + from, (day * DAY + to) % (7 * DAY)));

test.each([
  ['each night', daily(22 * 60, 30 * 60, [0, 1, 2, 3, 4, 5, 6]), '22:00', '06:00', 7, 'Mon–Sun', '周一–周日'],
  ['working hours', daily(510, 1_110, [0, 1, 2, 3, 4]), '08:30', '18:30', 5, 'Mon–Fri', '周一–周五'],
  ['two days whole', daily(0, DAY, [5, 6]), '00:00', '24:00', 2, 'Sat, Sun', '周六、周日'],
  ['working days in one', [span(0, 5 * DAY)], '00:00', '24:00', 5, 'Mon–Fri', '周一–周五'],
  ['all of the week', [span(0, 0)], '00:00', '24:00', 7, 'Mon–Sun', '周一–周日'],
  ['days apart', daily(0, 60, [4, 0, 2]), '00:00', '01:00', 3, 'Mon, Wed, Fri', '周一、周三、周五'],
])('%s', (_, spans, from, to, count, english, chinese) => {
  const [hours, ...more] = hoursOf(spans);
  expect(more).toEqual([]);
  expect(hours).toMatchObject({ from, to });
  expect(hours?.days).toHaveLength(count);
  expect([dayNames(hours?.days ?? [], 'en'), dayNames(hours?.days ?? [], 'zh')]).toEqual([english, chinese]);
});

test('hours that differ stand apart', () => {
  const found = hoursOf([...daily(0, 60, [0]), ...daily(120, 180, [0, 1])]);
  expect(found.map((it) => [it.from, it.days])).toEqual([
    ['00:00', [0]],
    ['02:00', [0, 1]],
  ]);
});
