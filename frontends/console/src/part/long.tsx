// Work that takes its time: that it goes on, for how long already, and how to stop it.

import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useFormat } from './format';
import { Push } from './plain';

type Props = {
  what: string;
  /** How much of it is done, where that is known. */
  share?: number;
  /** What it is at. */
  at?: string;
  stop: () => void;
};

export function Long({ what, share, at, stop }: Props) {
  const { t } = useTranslation();
  const format = useFormat();
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const begun = Date.now();
    const timer = setInterval(() => setSeconds(Math.round((Date.now() - begun) / 1_000)), 1_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <div className="long">
      <div className="row" style={{ justifyContent: 'space-between' }}>
        <span role="status">{what}</span>
        <span className="row">
          {/* Told once a second, it would be all that is heard. */}
          <span className="num quiet" aria-hidden="true">
            {share != null && `${format.percent(share)} · `}
            {seconds > 0 && format.duration(seconds * 1_000)}
          </span>
          <Push onClick={stop}>{t('form.stop')}</Push>
        </span>
      </div>
      <progress aria-label={what} value={share} />
      {at && <div className="quiet small num">{at}</div>}
    </div>
  );
}
