import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { App, Button, Card, Empty, Modal, Skeleton, Switch, Table, Tag } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { Author } from '../part/author';
import { useConfirm } from '../part/confirm';
import { Failure, useWords } from '../part/failure';
import { useFormat } from '../part/format';
import { useFilter } from '../part/query';
import { useTold } from '../part/said';
import { Code } from '../part/secret';
import { Figures } from '../part/sums';
import { localTimes } from '../part/time';

type Version = Schemas['PolicyVersion'];

const COLOUR: Record<Version['state'], string> = {
  draft: 'default',
  shadow: 'processing',
  active: 'success',
  retired: 'default',
  rolled_back: 'error',
};

export function PolicyVersions({
  name,
  policy,
  write,
}: {
  name: string;
  policy: Schemas['Policy'];
  write: boolean;
}) {
  const { t } = useTranslation();
  const format = useFormat();
  const confirm = useConfirm();
  const { message } = App.useApp();
  const words = useWords();
  const client = useQueryClient();
  const [filter, change] = useFilter();
  const compared = between(filter.diff);
  const [watched, setWatched] = useState(true);
  const path = { policy: name };
  const query = useQuery({
    queryKey: ['policies', 'versions', name],
    queryFn: () => take(api.GET('/api/v1/policies/{policy}/versions', { params: { path } })),
  });
  const after = async () => {
    message.success(t('form.saved'));
    await client.invalidateQueries({ queryKey: ['policies'] });
  };
  const shadow = useMutation({
    mutationFn: (version: number) =>
      take(api.POST('/api/v1/policies/{policy}/shadow', { params: { path }, body: { version } })),
    onSuccess: after,
    onError: (error) => message.error(words(error)),
  });
  const activate = (version: number) =>
    confirm({
      title: t('policy.activateTitle', { name, number: version }),
      breaks: t(policy.active != null ? 'policy.activateBreaks' : 'policy.activateFirst', {
        number: policy.active,
      }),
      action: t('policy.activate'),
      run: async () => {
        await take(
          api.POST('/api/v1/policies/{policy}/activate', { params: { path }, body: { version, watched } }),
        );
        await after();
      },
    });
  const before = query.data?.items.find((it) => it.number === policy.active)?.before;
  const back = () =>
    confirm({
      title: t('policy.backTitle', { name }),
      breaks: before == null ? t('policy.backToNone') : t('policy.backTo', { number: before }),
      action: t('policy.back'),
      run: async () => {
        await take(api.POST('/api/v1/policies/{policy}/rollback', { params: { path }, body: {} }));
        await after();
      },
    });
  return (
    <div className="stack">
      <Failure error={query.error} />
      {write && (
        <div className="row">
          <Switch size="small" aria-label={t('policy.watched')} checked={watched} onChange={setWatched} />
          {t('policy.watched')}
          {policy.active != null && query.data && <Button onClick={back}>{t('policy.back')}</Button>}
        </div>
      )}
      <Table<Version>
        aria-label={t('policy.versions')}
        rowKey={(it) => it.number}
        dataSource={query.data?.items}
        loading={query.isPending && !query.error}
        scroll={{ x: 'max-content' }}
        pagination={false}
        columns={[
          {
            title: t('policy.number'),
            dataIndex: 'number',
            render: (n) => <Link to={`?version=${n}`}>{n}</Link>,
          },
          {
            title: t('state.title'),
            key: 'state',
            render: (_, it) => (
              <>
                <Tag color={COLOUR[it.state]}>{t(`policy.state.${it.state}`)}</Tag> <Reason of={it.reason} />
              </>
            ),
          },
          { title: t('policy.note'), dataIndex: 'note' },
          {
            title: t('policy.testsShort'),
            key: 'tests',
            render: (_, it) =>
              t('policy.tests', { passed: it.tests.passed, all: it.tests.passed + it.tests.failures.length }),
          },
          {
            title: t('form.created'),
            key: 'created',
            render: (_, it) => (
              <>
                {format.time(it.created_at)}
                {' ·\u00a0'}
                <Author of={it.created_by} />
              </>
            ),
          },
          {
            title: t('form.actions'),
            key: 'actions',
            render: (_, it) => (
              <span className="row">
                <Button
                  size="small"
                  onClick={() => {
                    const from =
                      it.number === policy.active ? it.number - 1 : (policy.active ?? it.number - 1);
                    change({ diff: `${from}..${it.number}` });
                  }}
                >
                  {t('policy.diff')}
                </Button>
                {write && it.state !== 'active' && (
                  <>
                    {it.state !== 'shadow' && policy.active != null && (
                      <Button size="small" onClick={() => shadow.mutate(it.number)}>
                        {t('policy.try')}
                      </Button>
                    )}
                    <Button size="small" type="primary" onClick={() => activate(it.number)}>
                      {t('policy.activate')}
                    </Button>
                  </>
                )}
              </span>
            ),
          },
        ]}
      />
      {compared && <Diff name={name} {...compared} close={() => change({ diff: undefined })} />}
    </div>
  );
}

/** Which versions the address compares: `2..3`. */
function between(diff: string | undefined): { from: number; to: number } | undefined {
  const [, from, to] = /^(\d+)\.\.(\d+)$/.exec(diff ?? '') ?? [];
  return from && to ? { from: Number(from), to: Number(to) } : undefined;
}

/** Why a version was taken back: by whom, unless they said more. */
function Reason({ of }: { of: string | null | undefined }) {
  const { t } = useTranslation();
  const said = useTold();
  const by = of?.match(/^by (.+)$/)?.[1];
  return by ? (
    <span>
      {t('policy.by')} <Author of={by} />
    </span>
  ) : (
    <span>{of && said(of)}</span>
  );
}

function Diff(props: { name: string; from: number; to: number; close: () => void }) {
  const { t } = useTranslation();
  const query = useQuery({
    queryKey: ['policies', 'diff', props.name, props.from, props.to],
    queryFn: () =>
      take(
        api.GET('/api/v1/policies/{policy}/diff', {
          params: { path: { policy: props.name }, query: { from: String(props.from), to: String(props.to) } },
        }),
      ),
    enabled: props.from >= 1,
  });
  return (
    <Modal
      open
      width={860}
      footer={null}
      onCancel={props.close}
      title={t('policy.diffTitle', { from: props.from, to: props.to })}
    >
      <Failure error={query.error} />
      {props.from < 1 ? (
        <p>{t('policy.diffFirst')}</p>
      ) : query.isPending ? (
        <Skeleton active />
      ) : (
        <Code text={query.data?.diff || t('policy.diffNone')} />
      )}
    </Modal>
  );
}

/** How the version in shadow compares with what runs. */
export function Shadow({ name, version, write }: { name: string; version: number; write: boolean }) {
  const { t } = useTranslation();
  const format = useFormat();
  const client = useQueryClient();
  const confirm = useConfirm();
  const path = { policy: name };
  const query = useQuery({
    queryKey: ['policies', 'shadow', name],
    queryFn: () => take(api.GET('/api/v1/policies/{policy}/shadow', { params: { path } })),
    refetchInterval: 5_000,
  });
  const said = useTold();
  const it = query.data;
  if (!it) return query.error ? <Failure error={query.error} /> : <Skeleton active />;
  const end = () =>
    confirm({
      title: t('shadow.endTitle', { name, number: version }),
      breaks: t('shadow.endBreaks', { count: it.calls, amount: format.whole(it.calls) }),
      action: t('shadow.end'),
      run: async () => {
        await take(api.DELETE('/api/v1/policies/{policy}/shadow', { params: { path } }));
        await client.invalidateQueries({ queryKey: ['policies'] });
      },
    });
  const decided = (it: Schemas['PolicyDecision']) =>
    it.denied ? (
      <Tag color="error">{localTimes(said(it.denied), format.time)}</Tag>
    ) : (
      `${it.model ?? '–'} → ${it.channel ?? '–'}`
    );
  const share = (n: number) => format.percent(it.calls > 0 ? n / it.calls : 0);
  return (
    <div className="stack">
      <Figures
        figures={[
          { name: t('shadow.calls'), value: format.whole(it.calls) },
          { name: t('shadow.same'), value: share(it.same) },
          { name: t('shadow.deniedMore'), value: format.whole(it.denied_more) },
          { name: t('shadow.deniedLess'), value: format.whole(it.denied_less) },
          { name: t('shadow.otherModel'), value: format.whole(it.other_model) },
          { name: t('shadow.otherChannel'), value: format.whole(it.other_channel) },
          { name: t('shadow.otherTerms'), value: format.whole(it.other_terms) },
          { name: t('shadow.errors'), value: format.whole(it.errors) },
        ]}
      />
      <Card title={t('shadow.examples')} extra={write && <Button onClick={end}>{t('shadow.end')}</Button>}>
        <Table
          aria-label={t('shadow.examples')}
          size="small"
          rowKey="call"
          dataSource={it.examples}
          pagination={false}
          scroll={{ x: 'max-content' }}
          locale={{
            emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('shadow.none')} />,
          }}
          columns={[
            {
              title: t('request.id'),
              dataIndex: 'call',
              render: (call) => <Link to={`/requests/${encodeURIComponent(call)}`}>{call}</Link>,
            },
            { title: t('request.when'), dataIndex: 'at', render: (at) => format.time(at) },
            { title: t('shadow.before'), dataIndex: 'before', render: decided },
            { title: t('shadow.after'), dataIndex: 'after', render: decided },
          ]}
        />
      </Card>
    </div>
  );
}
