import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { useFormat } from './format';
import { Tag } from './plain';

type Channel = Pick<Schemas['Channel'], 'enabled' | 'health' | 'recent'>;

/** How a channel is doing: until when it is benched counts down. With `why`, also what ended its last call that failed, and when. */
export function HealthTag({ channel, why = false }: { channel: Channel; why?: boolean }) {
  const { t } = useTranslation();
  const format = useFormat();
  const until = channel.health?.benched_until ?? 0;
  const [now, setNow] = useState(Date.now);
  const benched = until > now;
  useEffect(() => {
    if (until <= Date.now()) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [until]);
  if (channel.enabled === false) return <Tag>{t('channel.off')}</Tag>;
  const last = channel.recent?.last_failure;
  const at = channel.recent?.last_failure_at;
  const said = last
    ? t('channel.since', { what: t(`outcome.${last}`, last), when: at ? format.ago(at) : '' })
    : undefined;
  const ill = Boolean(channel.health?.broken || benched || channel.health?.failures);
  const tag = (tone: 'good' | 'warn' | 'bad', words: string) => (
    <>
      <Tag tone={tone} title={said}>
        {words}
      </Tag>
      {why && ill && said && (
        <span className="quiet small" style={{ display: 'block' }}>
          {said}
        </span>
      )}
    </>
  );
  if (channel.health?.broken) return tag('bad', t('channel.broken'));
  if (benched) return tag('warn', t('channel.benched', { left: format.duration(until - now) }));
  if (channel.health?.failures) {
    return tag('warn', t('channel.failures', { count: channel.health.failures }));
  }
  // Whoever has it answer seldom benches it never: most of the last calls came to nothing all the same.
  const recent = channel.recent;
  if (recent && recent.failures > 0 && recent.failures * 2 >= recent.calls)
    return tag('warn', t('channel.lately', { failed: recent.failures, calls: recent.calls }));
  return tag('good', t('channel.well'));
}
