import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { useFormat } from './format';
import { Tag } from './plain';

/** How a channel is doing: until when it is benched counts down. */
export function HealthTag({ channel }: { channel: Pick<Schemas['Channel'], 'enabled' | 'health'> }) {
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
  if (channel.health?.broken) return <Tag tone="bad">{t('channel.broken')}</Tag>;
  if (benched) return <Tag tone="warn">{t('channel.benched', { left: format.duration(until - now) })}</Tag>;
  if (channel.health?.failures)
    return <Tag tone="warn">{t('channel.failures', { count: channel.health.failures })}</Tag>;
  return <Tag tone="good">{t('channel.well')}</Tag>;
}
