import { Alert } from 'antd';
import { useTranslation } from 'react-i18next';
import type { Schemas } from '../api/client';
import { useFormat } from './format';
import { useTold } from './said';

/** What a small real call through a channel came to. */
export function TestResult({ result: it }: { result: Schemas['ChannelTest'] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const said = useTold();
  const facts = [
    it.upstream,
    it.format,
    it.status != null && t('test.status', { status: it.status }),
    it.head_ms != null && t('test.head', { time: format.duration(it.head_ms) }),
    it.first_content_ms != null && t('request.first', { time: format.duration(it.first_content_ms) }),
    t('test.whole', { time: format.duration(it.total_ms) }),
    it.usage &&
      t('playground.tokens', {
        input: format.whole((it.usage.input_uncached ?? 0) + (it.usage.cache_read ?? 0)),
        output: format.whole((it.usage.output_visible ?? 0) + (it.usage.output_reasoning ?? 0)),
      }),
    it.request_id,
  ].filter(Boolean);
  return (
    <Alert
      showIcon
      type={it.ok ? 'success' : 'error'}
      title={it.ok ? t('test.ok') : t(`outcome.${it.class}`, it.class)}
      description={
        <>
          <div className="wrap">{it.ok ? it.answer : said(it.message ?? '')}</div>
          <small>{facts.join(' · ')}</small>
        </>
      }
    />
  );
}
