// Why a call wasn't answered, in one sentence, and where to go to change that.

import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import type { Schemas } from '../api/client';
import { may, useMe } from '../app/session';
import { figures, type Reason } from './explanation';
import { useFormat } from './format';
import { useTold } from './said';
import { windowName } from './use';
import { useWhose } from './whose';
import { BEFORE, WhyRefused } from './why_refused';

type Record = Schemas['Record'];
type Props = { record: Record; reasons: Reason[]; channel: (id: string) => string };

export function WhyNot({ record, reasons, channel }: Props) {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe();
  const whose = useWhose(record);
  const said = useTold();
  if (record.outcome === 'ok') return null;
  const title = record.error
    ? t(`kind.${record.error}`, record.error)
    : t(`outcome.${record.outcome}`, record.outcome);
  const last = (step: string) => reasons.findLast((it) => it.step === step && it.ok !== true);
  const attempt = record.attempts?.at(-1);
  const page = (to: string, name: string) => <Link to={to}>{name}</Link>;
  const out = reasons.filter((it) => it.step === 'excluded');
  const parts: ReactNode[] = [];
  const limit = last('limit');
  const policy = record.error === 'policy_denied' && last('policy');
  if (limit) {
    const scope = String(limit.scope);
    const found = whose(scope);
    const window = windowName(t, format, limit.window as never);
    parts.push(
      `${t(`why.scope.${scope}`, scope)} ${found?.name ?? ''}${t('why.colon')}${t(`limit.metric.${limit.metric}`)} ${window}`,
      figures(t, format, limit),
      found?.to && page(found.to, t('why.toLimits', { name: found.name })),
    );
  } else if (policy) {
    const name = String(policy.policy);
    parts.push(
      t('why.policySaid', { policy: name, verdict: said(String(policy.verdict)) }),
      may(me, 'readAll') && page(`/policies/${encodeURIComponent(name)}`, t('why.toPolicy')),
    );
  } else if (attempt) {
    const status = attempt.status ? `, ${t('test.status', { status: attempt.status })}` : '';
    const how = t(`outcome.${attempt.outcome}`, attempt.outcome);
    parts.push(
      t('why.lastTried', { name: channel(attempt.channel), said: `${how}${status}` }),
      may(me, 'super') && page(`/channels/${encodeURIComponent(attempt.channel)}`, t('why.toChannel')),
    );
  } else if (out.length > 0) {
    const one = (it: Reason) =>
      t('why.wasOut', {
        name: channel(String(it.channel)),
        why: t(`why.exclusion.${it.why}`, String(it.why)),
      });
    parts.push(
      t('why.allOut', { count: out.length }),
      ...out.slice(0, 5).map(one),
      may(me, 'super') ? page('/channels', t('why.toChannels')) : t('refused.ask'),
    );
  } else if (BEFORE.includes(record.error ?? '')) {
    parts.push(<WhyRefused record={record} />);
  }
  return (
    <div className={`notice notice-${record.outcome === 'denied' ? 'warn' : 'bad'}`}>
      <div>
        <strong>{title}</strong>
        <div className="why-not">{parts.map((it, index) => it && <span key={index}>{it}</span>)}</div>
      </div>
    </div>
  );
}
