// Where a group's calls go first, in order: a tag, a channel or a provider, chosen from those that there are.

import { useQuery } from '@tanstack/react-query';
import { AutoComplete, Button, Form, Select } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { allOf } from './all';
import { useName } from './name';
import { Pick } from './pick';

const KINDS = ['tag', 'channel', 'provider'] as const;
type Kind = (typeof KINDS)[number];
export type PreferenceRow = { kind: Kind; name?: string };

/** As the form has them, and back. */
export function preferenceRows(all: Schemas['Preference'][]): PreferenceRow[] {
  return all.flatMap((it) =>
    KINDS.flatMap((kind) => (it[kind] === undefined ? [] : [{ kind, name: it[kind] }])),
  );
}

export function preferencesOf(rows: PreferenceRow[]): Schemas['Preference'][] {
  return rows.flatMap(({ kind, name }) => (name?.trim() ? [{ [kind]: name.trim() }] : []));
}

/** What can be named, for who may see the channels. */
function useNamed() {
  const me = useMe();
  const { data } = useQuery({
    queryKey: ['channels', 'all'],
    queryFn: () => allOf((query) => take(api.GET('/api/v1/channels', { params: { query } }))),
    enabled: may(me, 'super'),
    staleTime: 60_000,
  });
  if (!data) return undefined;
  const once = (all: string[]) => [...new Set(all)].sort();
  return {
    tag: once(data.items.flatMap((it) => it.tags ?? [])),
    provider: once(data.items.map((it) => it.provider)),
    channel: data.items.flatMap((it) => [it.id, it.name]),
  };
}

export function Preferences() {
  const { t } = useTranslation();
  const me = useMe();
  const form = Form.useFormInstance();
  const rows = (Form.useWatch('preferences', form) ?? []) as PreferenceRow[];
  const named = useNamed();
  const label = (it: PreferenceRow) => t(`usage.dimension.${it.kind}`);
  return (
    <Form.Item label={t('group.preferences')} extra={t('group.preferencesHint')}>
      <Form.List name="preferences">
        {(fields, { add, remove, move }) => (
          <>
            {fields.map(({ key, name: at }) => {
              const row = rows[at] ?? { kind: 'tag' };
              const known = named?.[row.kind];
              const stray = row.name?.trim() && known && !known.includes(row.name.trim());
              return (
                <div key={key} style={{ marginBottom: 8 }}>
                  <div className="row" style={{ flexWrap: 'nowrap' }}>
                    <Form.Item name={[at, 'kind']} noStyle>
                      <Select
                        aria-label={t('group.preferenceKind')}
                        style={{ width: 120, flexShrink: 0 }}
                        options={KINDS.map((value) => ({ value, label: t(`usage.dimension.${value}`) }))}
                        onChange={() => form.setFieldValue(['preferences', at, 'name'], undefined)}
                      />
                    </Form.Item>
                    <Form.Item
                      name={[at, 'name']}
                      noStyle
                      rules={[{ required: true, message: t('form.required') }]}
                    >
                      {row.kind === 'channel' && may(me, 'super') ? (
                        <Pick of="channels" aria-label={label(row)} style={{ flex: 1, minWidth: 0 }} />
                      ) : (
                        <AutoComplete
                          aria-label={label(row)}
                          style={{ flex: 1, minWidth: 0 }}
                          showSearch={{ filterOption: true }}
                          options={row.kind === 'channel' ? [] : known?.map((value) => ({ value }))}
                        />
                      )}
                    </Form.Item>
                    {at > 0 && (
                      <Button aria-label={t('group.sooner')} onClick={() => move(at, at - 1)}>
                        ↑
                      </Button>
                    )}
                    <Button onClick={() => remove(at)}>{t('form.remove')}</Button>
                  </div>
                  {stray && (
                    <p role="alert" className="warned">
                      {t('group.preferenceStray', { kind: label(row), name: row.name })}
                    </p>
                  )}
                </div>
              );
            })}
            <Button onClick={() => add({ kind: 'tag' })}>{t('group.addPreference')}</Button>
          </>
        )}
      </Form.List>
    </Form.Item>
  );
}

/** The same to read. */
export function PreferenceList({ all }: { all: Schemas['Preference'][] }) {
  const { t } = useTranslation();
  const channel = useName('channels');
  const words = preferenceRows(all).map(
    ({ kind, name = '' }) => `${t(`usage.dimension.${kind}`)} ${kind === 'channel' ? channel(name) : name}`,
  );
  return <span>{words.join(' → ') || '–'}</span>;
}
