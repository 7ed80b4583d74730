// Settings in force, by name and with their units.

import { useQuery } from '@tanstack/react-query';
import { Card, Collapse, Descriptions } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, take } from '../api/client';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { Code } from '../part/secret';
import { type Setting, settingsOf, unitOf } from '../part/setting';

export const SETTINGS = { queryKey: ['settings'], queryFn: () => take(api.GET('/api/v1/settings')) };

const MIB = 1_048_576;
const GIB = 1_024 * MIB;
const NAMED = ['server', 'routing', 'quota'] as const;
/** What is somebody's own names, in whatever form the file has them. */
const OWN = ['aliases', 'fallbacks', 'model_groups', 'guardrails'] as const;

export function SettingsInForce() {
  const { t } = useTranslation();
  const query = useQuery(SETTINGS);
  const it = query.data;
  return (
    <Card title={t('system.settings')}>
      <Failure error={query.error} />
      <p>{t('system.settingsWhat')}</p>
      {it && (
        <Collapse
          items={[
            ...NAMED.map((part) => ({
              key: part,
              label: t(`setting.part.${part}`),
              children: <Part name={part} settings={it[part]} />,
            })),
            ...OWN.map((part) => ({
              key: part,
              label: t(`setting.part.${part}`),
              children: <Code text={JSON.stringify(it[part], null, 2)} />,
            })),
          ]}
        />
      )}
    </Card>
  );
}

function Part({ name, settings }: { name: string; settings: Record<string, unknown> }) {
  const { t } = useTranslation();
  const say = useSay();
  return (
    <div className="stack">
      <Descriptions
        column={{ xs: 1, md: 2 }}
        size="small"
        items={settingsOf(settings).map((it) => ({
          key: it.path,
          label: <Called part={name} path={it.path} />,
          children: <span style={{ overflowWrap: 'anywhere' }}>{say(it)}</span>,
        }))}
      />
      <details>
        <summary>{t('setting.json')}</summary>
        <Code text={JSON.stringify(settings, null, 2)} />
      </details>
    </div>
  );
}

/** What a setting is called; one that this console doesn't know, by its path. */
function Called({ part, path }: { part: string; path: string }) {
  const { t } = useTranslation();
  const word = (at: string) => {
    const own = `setting.of.${part}.${at}`;
    return t(`${own}.self`, { defaultValue: '' }) || t(own, { defaultValue: '', returnObjects: false });
  };
  const known = word(path);
  if (known) return <span title={path}>{known}</span>;
  // Of single kinds of failures: `retries_by.timeout`.
  const [, of = '', kind = ''] = /^(.+)\.(\w+)$/.exec(path) ?? [];
  const whole = of && word(of);
  const failure = t(`outcome.${kind}`, { defaultValue: '' });
  if (whole && failure) return <span title={path}>{`${whole} · ${failure}`}</span>;
  return <span className="mono">{path}</span>;
}

/** What a setting says, in words and with its unit. */
function useSay(): (it: Setting) => string {
  const { t } = useTranslation();
  const format = useFormat();
  return ({ path, value }) => {
    const name = path.split('.').at(-1) ?? '';
    if (value === null) return t(path.startsWith('retention.') ? 'setting.forEver' : 'setting.unset');
    if (typeof value === 'boolean') return t(value ? 'setting.on' : 'setting.off');
    if (typeof value === 'string') {
      const strategy = name === 'strategy' ? t(`model.by.${value}`, { defaultValue: '' }) : '';
      const mode = name === 'rate_token_mode' ? t(`limit.mode.${value}`, { defaultValue: '' }) : '';
      return strategy || mode || t(`setting.value.${name}.${value}`, { defaultValue: value });
    }
    if (typeof value === 'number') {
      switch (unitOf(path)) {
        case 'time':
          return format.span(value);
        case 'bytes':
          return value >= GIB ? `${format.decimal(value / GIB)} GiB` : `${format.decimal(value / MIB)} MiB`;
        case 'percent':
          return format.percent(value / 100);
        case 'tokens':
          return t('setting.tokens', { amount: format.whole(value) });
        default:
          return name === 'port' ? String(value) : format.whole(value);
      }
    }
    if (Array.isArray(value)) return value.length > 0 ? value.map(String).join(', ') : t('setting.unset');
    return Object.keys(value as object).length > 0 ? JSON.stringify(value) : t('setting.unset');
  };
}
