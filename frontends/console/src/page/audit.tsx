// Who changed what, and what it was before.

import { keepPreviousData, useMutation, useQuery } from '@tanstack/react-query';
import { Alert, Button, Input, Select, Table } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { Author, Thing } from '../part/author';
import { Between } from '../part/between';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { useOpened } from '../part/list';
import { useNaming } from '../part/naming';
import { NothingHere } from '../part/nothing';
import { Page } from '../part/page';
import { PickNamed } from '../part/pick';
import { useFilter } from '../part/query';
import { Code } from '../part/secret';

type Event = Schemas['AuditEvent'];
type FamilyOf<A> = A extends `${infer Family}.${string}` ? Family : never;

/** What actions are done to: every kind that the server knows. */
const FAMILIES: Record<FamilyOf<Event['action']>, true> = {
  key: true,
  group: true,
  member: true,
  user: true,
  organization: true,
  channel: true,
  model: true,
  access_group: true,
  policy: true,
  budget: true,
  customer: true,
  tag: true,
  account: true,
  session: true,
  settings: true,
  token: true,
  ledger: true,
  master_key: true,
  secret: true,
};

const TYPED = ['actor', 'target', 'address'];
const FILTERS = [...TYPED, 'user', 'group'];

export default function AuditPage() {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe();
  const [filter, change] = useFilter();
  const named = Object.fromEntries(
    ['action', ...FILTERS, 'from', 'to'].flatMap((it) => (filter[it] ? [[it, filter[it]]] : [])),
  );
  // One page at a time, by where it begins: the way back leads to the one before, and a page can be sent to somebody.
  const cursor = filter.page;
  const events = useQuery({
    queryKey: ['audit', named, cursor],
    queryFn: () =>
      take(
        api.GET('/api/v1/audit', {
          params: { query: { ...named, limit: '100', ...(cursor && { cursor }) } },
        }),
      ),
    placeholderData: keepPreviousData,
  });
  const next = events.data?.next;
  const [opened, open] = useOpened();
  const naming = useNaming();
  const verify = useMutation({ mutationFn: () => take(api.GET('/api/v1/audit/verify')) });
  const rows = events.data?.items ?? [];
  const file = (kind: string) =>
    `/api/v1/audit/export?${new URLSearchParams({ ...(named as Record<string, string>), format: kind })}`;
  return (
    <Page
      title={t('nav.audit')}
      note={t('audit.what')}
      actions={
        <>
          <Button href={file('csv')} download="audit.csv">
            {t('usage.csv')}
          </Button>
          <Button href={file('jsonl')} download="audit.jsonl">
            {t('audit.jsonl')}
          </Button>
          {may(me, 'super') && (
            <Button loading={verify.isPending} onClick={() => verify.mutate()}>
              {t('audit.verify')}
            </Button>
          )}
        </>
      }
    >
      <Failure error={verify.error} />
      {verify.data && (
        <Alert
          role="status"
          style={{ marginBottom: 12 }}
          showIcon
          type={verify.data.sound ? 'success' : 'error'}
          title={t(verify.data.sound ? 'audit.sound' : 'audit.faulty', {
            count: verify.data.sound ? verify.data.events : verify.data.faulty,
          })}
          description={
            verify.data.faults
              .map((it) => `${it.seq}${t('why.colon')}${t(`audit.fault.${it.what}`)}`)
              .join(t('why.semicolon')) || undefined
          }
        />
      )}
      <div className="row" style={{ marginBottom: 12 }}>
        <Between filter={filter} change={change} />
        <PickAction value={filter.action} onChange={(action) => change({ action: action || undefined })} />
        <PickNamed
          of="users"
          style={{ width: 160 }}
          value={filter.user}
          onChange={(user) => change({ user })}
        />
        <PickNamed
          of="groups"
          style={{ width: 160 }}
          value={filter.group}
          onChange={(group) => change({ group })}
        />
        {TYPED.map((name) => (
          <Input
            key={`${name} ${filter[name] ?? ''}`}
            allowClear
            aria-label={t(`audit.${name}`)}
            placeholder={t(`audit.${name}`)}
            style={{ width: 140 }}
            defaultValue={filter[name]}
            onPressEnter={(event) => change({ [name]: event.currentTarget.value.trim() || undefined })}
            onBlur={(event) => change({ [name]: event.currentTarget.value.trim() || undefined })}
            onClear={() => change({ [name]: undefined })}
          />
        ))}
      </div>
      <Failure error={events.error} again={() => events.refetch()} />
      <Table<Event>
        aria-label={t('nav.audit')}
        size="small"
        rowKey={(it) => it.seq}
        dataSource={naming ? [] : rows}
        loading={(events.isPending || events.isPlaceholderData || naming) && !events.error}
        pagination={false}
        scroll={{ x: 'max-content' }}
        locale={{ emptyText: naming ? ' ' : <NothingHere words={t('audit.none')} /> }}
        expandable={{
          columnTitle: <span className="unseen">{t('audit.detail')}</span>,
          expandedRowRender: (it) => <Code text={JSON.stringify(it.detail ?? {}, null, 2)} />,
          expandedRowKeys: opened.map(Number),
          onExpand: (expanded, it) => open(String(it.seq), expanded),
        }}
        columns={[
          { title: t('audit.number'), dataIndex: 'seq', className: 'num' },
          {
            title: t('request.when'),
            dataIndex: 'at',
            className: 'num',
            render: (at) => <span title={format.time(at)}>{format.moment(at)}</span>,
          },
          { title: t('audit.actor'), dataIndex: 'actor', render: (it) => <Author of={it} /> },
          {
            title: t('audit.action'),
            dataIndex: 'action',
            render: (it: string) => <span title={it}>{t(`audit.did.${it}`, it)}</span>,
          },
          { title: t('audit.target'), dataIndex: 'target', render: (it) => <Thing of={it} /> },
          { title: t('audit.address'), dataIndex: 'address', render: (it) => it ?? '–' },
          { title: t('audit.credential'), dataIndex: 'credential', render: (it) => <Thing of={it} /> },
        ]}
      />
      {(cursor || next) && (
        <p className="row" style={{ justifyContent: 'center', marginTop: 12 }}>
          <Button disabled={!cursor} onClick={() => change({ page: undefined })}>
            {t('audit.newest')}
          </Button>
          <Button
            disabled={!next || events.isPlaceholderData}
            onClick={() => change({ page: next ?? undefined })}
          >
            {t('audit.more')}
          </Button>
        </p>
      )}
    </Page>
  );
}

/** One action, or a family of them, by what people call it. */
function PickAction({ value, onChange }: { value: string | undefined; onChange: (action: string) => void }) {
  const { t } = useTranslation();
  const options = Object.keys(FAMILIES).map((family) => {
    const label = t(`audit.family.${family}`);
    const all = { value: `${family}.`, label: t('audit.whole', { name: label }) };
    return {
      label,
      options: [all, ...verbs(t(`audit.did.${family}`, { returnObjects: true }), `${family}.`)],
    };
  });
  const known = options.some((it) => it.options.some((one) => one.value === value));
  return (
    <Select
      allowClear
      showSearch={{ optionFilterProp: 'label' }}
      aria-label={t('audit.action')}
      placeholder={t('audit.action')}
      style={{ width: 200 }}
      popupMatchSelectWidth={false}
      value={value}
      onChange={onChange}
      options={value && !known ? [...options, { label: value, options: [{ value, label: value }] }] : options}
    />
  );
}

type Tree = { [name: string]: string | Tree };

function verbs(of: unknown, before: string): { value: string; label: string }[] {
  return Object.entries(of as Tree).flatMap(([name, it]) =>
    typeof it === 'string' ? [{ value: before + name, label: it }] : verbs(it, `${before + name}.`),
  );
}
