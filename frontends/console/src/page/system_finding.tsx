// What there is to say about the configuration, in the reader's language.

import { useQuery } from '@tanstack/react-query';
import { Alert, Card, Tag } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { Failure } from '../part/failure';
import { useTold } from '../part/said';
import { Code } from '../part/secret';

type Finding = Schemas['Diagnostic'];

export const FINDINGS = {
  queryKey: ['diagnostics'],
  queryFn: async () => (await take(api.GET('/api/v1/diagnostics'))).items,
};

const COLOUR = { error: 'error', warning: 'warning', note: 'processing' } as const;

export function Findings() {
  const { t } = useTranslation();
  const query = useQuery(FINDINGS);
  return (
    <Card title={t('system.findings')}>
      <Failure error={query.error} again={() => query.refetch()} />
      {query.data?.length === 0 && <Alert type="success" showIcon title={t('system.noFindings')} />}
      {query.data?.map((it, index) => (
        <Found key={index} finding={it} />
      ))}
    </Card>
  );
}

function Found({ finding: it }: { finding: Finding }) {
  const { t } = useTranslation();
  const say = useTold();
  return (
    <div style={{ padding: '6px 0', overflowWrap: 'anywhere' }}>
      <Tag color={COLOUR[it.severity]}>{t(`system.severity.${it.severity}`)}</Tag>
      <strong>{t(`system.finding.${it.code}`)}</strong>
      <div>
        {say(it.message)}
        {it.remedy && ` – ${say(it.remedy)}`}
      </div>
      <div className="mono quiet">
        {[[it.path, it.line].filter(Boolean).join(':'), it.at].filter(Boolean).join(' ')}
      </div>
      {it.paste && <Code text={it.paste} />}
    </div>
  );
}
