import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Button, Card, Descriptions, Form, Input, Modal, Select, Skeleton } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useParams } from 'react-router';
import { api, take } from '../api/client';
import { keyRight } from '../app/right';
import { useMe } from '../app/session';
import { LimitsAbove } from '../part/above';
import { useAtOnce } from '../part/at_once';
import { Author } from '../part/author';
import { FromFile, Models, Named, Standing } from '../part/badge';
import { keyBlocking } from '../part/broken';
import type { Owned } from '../part/callable';
import { useConfirm } from '../part/confirm';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { lengthMs } from '../part/length';
import { Page } from '../part/page';
import { SecretOnce, Snippets } from '../part/secret';
import { Sums } from '../part/sums';
import { LimitStates } from '../part/use';
import { KeyForm } from './key_form';

export default function KeyPage() {
  const { t } = useTranslation();
  const { key: id = '' } = useParams();
  const me = useMe();
  const format = useFormat();
  const confirm = useConfirm();
  const navigate = useNavigate();
  const client = useQueryClient();
  const [editing, setEditing] = useState(false);
  const [rotating, setRotating] = useState(false);
  const path = { key: id };
  const query = useQuery({
    queryKey: ['keys', 'one', id],
    queryFn: () => take(api.GET('/api/v1/keys/{key}', { params: { path } })),
    refetchInterval: 15_000,
  });
  const atOnce = useAtOnce('keys');
  const key = query.data;
  const parent = { to: '/keys', name: t('nav.keys') };
  if (!key) {
    return (
      <Page title={id} parent={parent}>
        {query.error ? <Failure error={query.error} again={() => query.refetch()} /> : <Skeleton active />}
      </Page>
    );
  }
  const right = key.source === 'database' ? keyRight(me, key) : 'none';
  const write = right !== 'none';
  const name = key.alias ?? key.id;
  const change = (body: { blocked: boolean } | { alias: string }) =>
    atOnce([id], body, () => take(api.PATCH('/api/v1/keys/{key}', { params: { path }, body })));
  const block = (
    <Button
      onClick={() =>
        confirm({
          ...keyBlocking(t, name, right),
          run: () => change({ blocked: true }),
        })
      }
    >
      {t('state.block')}
    </Button>
  );
  return (
    <Page
      title={name}
      rename={write ? (alias) => change({ alias }) : undefined}
      parent={parent}
      note={
        <>
          <span className="mono">{key.hint}</span> <Standing blocked={key.blocked} expires={key.expires_at} />{' '}
          <FromFile source={key.source} />
        </>
      }
      actions={
        write && (
          <>
            {right !== 'owner' && <Button onClick={() => setEditing(true)}>{t('form.change')}</Button>}
            <Button onClick={() => setRotating(true)}>{t('key.rotate')}</Button>
            {key.blocked
              ? right === 'full' && (
                  <Button onClick={() => change({ blocked: false })}>{t('state.unblock')}</Button>
                )
              : block}
            <Button
              danger
              onClick={() =>
                confirm({
                  title: t('key.deleteTitle', { name }),
                  breaks: t('key.deleteBreaks', { count: key.used.requests }),
                  action: t('form.delete'),
                  run: async () => {
                    await take(api.DELETE('/api/v1/keys/{key}', { params: { path } }));
                    navigate('/keys');
                    await client.invalidateQueries({ queryKey: ['keys'], refetchType: 'none' });
                  },
                })
              }
            >
              {t('form.delete')}
            </Button>
          </>
        )
      }
    >
      <div className="stack">
        <Sums sums={key.used} />
        <div className="grid-wide">
          <Card title={t('limit.title')}>
            <LimitStates
              states={key.limit_states}
              empty={t('limit.noneHere')}
              of={{ scope: 'key', id: key.id }}
            />
            <LimitsAbove of={key} />
          </Card>
          <Card
            title={t('key.about')}
            extra={<Link to={`/requests?key=${encodeURIComponent(key.id)}`}>{t('key.calls')}</Link>}
          >
            <Descriptions
              column={1}
              size="small"
              items={[
                { key: 'id', label: t('form.id'), children: <span className="mono">{key.id}</span> },
                {
                  key: 'o',
                  label: t('form.organization'),
                  children: <Named of="organizations" id={key.organization} />,
                },
                {
                  key: 'g',
                  label: t('key.group'),
                  children: <Named of="groups" id={key.group} />,
                },
                { key: 'u', label: t('key.user'), children: <Named of="users" id={key.user} /> },
                { key: 'm', label: t('key.models'), children: <Models models={key.models} most={12} /> },
                {
                  key: 'e',
                  label: t('key.expires'),
                  children: key.expires_at ? format.time(key.expires_at) : t('key.never'),
                },
                { key: 'i', label: t('key.ips'), children: key.allowed_ips.join(', ') || t('key.anywhere') },
                { key: 't', label: t('key.tags'), children: key.tags.join(', ') || '–' },
                {
                  key: 'c',
                  label: t('form.created'),
                  children: (
                    <>
                      {format.time(key.created_at)}
                      {' ·\u00a0'}
                      <Author of={key.created_by} />
                    </>
                  ),
                },
                {
                  key: 'd',
                  label: t('form.updated'),
                  children: (
                    <>
                      {format.time(key.updated_at)}
                      {' ·\u00a0'}
                      <Author of={key.updated_by} />
                    </>
                  ),
                },
              ]}
            />
          </Card>
        </div>
        <Card title={t('key.use')}>
          <p className="quiet" style={{ marginTop: 0 }}>
            {t('key.useHint')}
          </p>
          <Snippets secret="sk-..." of={key} />
        </Card>
      </div>
      {editing && <KeyForm key_={key} close={() => setEditing(false)} />}
      {rotating && <Rotate id={id} name={name} of={key} close={() => setRotating(false)} />}
    </Page>
  );
}

function Rotate(props: { id: string; name: string; of: Owned; close: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const format = useFormat();
  const [grace, setGrace] = useState('24h');
  const [until, setUntil] = useState<number | undefined>();
  const send = useMutation({
    mutationFn: () =>
      take(
        api.POST('/api/v1/keys/{key}/regenerate', {
          params: { path: { key: props.id } },
          body: { grace: grace.trim() || null },
        }),
      ),
    onSuccess: () => {
      const length = lengthMs(grace);
      setUntil(length === undefined ? undefined : Date.now() + length);
      return client.invalidateQueries({ queryKey: ['keys'] });
    },
  });
  if (send.data)
    return (
      <SecretOnce
        secret={send.data.secret}
        title={until === undefined ? t('key.rotated') : t('key.oldUntil', { when: format.time(until) })}
        of={props.of}
        close={props.close}
      />
    );
  const choices = ['', '1h', '24h', '7d'];
  return (
    <Modal
      open
      title={t('key.rotateTitle', { name: props.name })}
      okText={t('key.rotate')}
      cancelText={t('form.cancel')}
      confirmLoading={send.isPending}
      onOk={() => send.mutate()}
      onCancel={props.close}
    >
      <Failure error={send.error} />
      <p>{t('key.rotateHint')}</p>
      <Form layout="vertical">
        <Form.Item label={t('key.grace')}>
          <Select
            aria-label={t('key.grace')}
            value={choices.includes(grace) ? grace : 'other'}
            onChange={(value) => setGrace(value === 'other' ? '48h' : value)}
            options={[
              { value: '', label: t('key.graceNone') },
              ...choices.slice(1).map((value) => ({ value, label: t('key.graceFor', { length: value }) })),
              { value: 'other', label: t('key.graceOther') },
            ]}
          />
          {!choices.includes(grace) && (
            <Input
              aria-label={t('key.graceOther')}
              style={{ marginTop: 8 }}
              value={grace}
              onChange={(event) => setGrace(event.target.value)}
            />
          )}
        </Form.Item>
      </Form>
    </Modal>
  );
}
