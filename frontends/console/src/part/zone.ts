// Times in the time zone that somebody has chosen, for fields that know the browser's alone.

import dayjs, { type Dayjs } from 'dayjs';
import timezone from 'dayjs/plugin/timezone';
import utc from 'dayjs/plugin/utc';
import { useMemo } from 'react';
import { useSpoken } from '../app/preference';

dayjs.extend(utc);
dayjs.extend(timezone);

const WALL = 'YYYY-MM-DDTHH:mm:ss.SSS';

/** What clocks show there at a time, as a field is given it. */
export function wall(at: string | number, zone: string): Dayjs {
  return zone ? dayjs(dayjs(at).tz(zone).format(WALL)) : dayjs(at);
}

/** The time at which clocks there show what was picked. */
export function instant(picked: Dayjs, zone: string): Dayjs {
  return zone ? dayjs.tz(picked.format(WALL), zone) : picked;
}

/** Both in the zone of whoever looks. */
export function useZone() {
  const { zone } = useSpoken();
  return useMemo(
    () => ({
      wall: (at: string | number) => wall(at, zone),
      instant: (picked: Dayjs) => instant(picked, zone),
      today: () => wall(Date.now(), zone),
    }),
    [zone],
  );
}
