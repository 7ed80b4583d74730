// Between which times, as the filter of a page has them: in the zone of whoever looks.

import { DatePicker } from 'antd';
import { useTranslation } from 'react-i18next';
import { useZone } from './zone';

type Props = {
  filter: Record<string, string>;
  change: (part: { from?: string; to?: string }) => void;
  /** What the address has as a time. */
  read?: (text: string) => string | number;
};

export function Between({ filter, change, read = (text) => text }: Props) {
  const { t } = useTranslation();
  const zone = useZone();
  const shown = (text: string | undefined) => (text ? zone.wall(read(text)) : null);
  return (
    <DatePicker.RangePicker
      showTime
      allowEmpty={[true, true]}
      aria-label={t('request.when')}
      value={[shown(filter.from), shown(filter.to)]}
      onChange={(range) => {
        const [from, to] = [range?.[0], range?.[1]].map((it) =>
          it ? zone.instant(it).toISOString() : undefined,
        );
        change({ from, to });
      }}
    />
  );
}
