import { PlusOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Input, Select, Switch } from 'antd';
import { type Key, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { allOf } from '../part/all';
import { useAtOnce } from '../part/at_once';
import { FromFile, Models, Named, Tags } from '../part/badge';
import { channelsBreak } from '../part/broken';
import { useConfirm } from '../part/confirm';
import { useFormat } from '../part/format';
import { HealthTag } from '../part/health';
import { InlineNumber } from '../part/inline';
import { latencyWords } from '../part/latency';
import { List } from '../part/list';
import { useNarrow } from '../part/narrow';
import { Page } from '../part/page';
import { csvOf, useFilter } from '../part/query';
import { useRefused } from '../part/refusal';
import { Tried } from '../part/sums';
import { ChannelBulk, editChannels } from './channel_bulk';
import { ChannelForm } from './channel_form';

type Channel = Schemas['Channel'];

export default function ChannelList() {
  const { t } = useTranslation();
  const format = useFormat();
  const confirm = useConfirm();
  const atOnce = useAtOnce('channels');
  const narrow = useNarrow();
  const [editing, setEditing] = useState(false);
  const [filter, change] = useFilter();
  const [chosen, setChosen] = useState<Key[]>([]);
  const query = useQuery({
    queryKey: ['channels'],
    queryFn: () => allOf((query) => take(api.GET('/api/v1/channels', { params: { query } }))),
    refetchInterval: 5_000,
  });
  const refused = useRefused(
    (id) => query.data?.items.find((it) => it.id === id)?.name ?? id,
    t('channel.refused'),
  );
  const low = (filter.search ?? '').toLowerCase();
  const all = query.data?.items ?? [];
  const items = all.filter(
    (it) =>
      (!low ||
        [it.id, it.name, it.provider, ...it.models.map((model) => model.group)].some((text) =>
          text.toLowerCase().includes(low),
        )) &&
      (!filter.tag || it.tags?.includes(filter.tag)),
  );
  const tags = [...new Set(all.flatMap((it) => it.tags ?? []))].sort();
  const turn = async (ids: Key[], set: { enabled: boolean } | { priority: number } | { weight: number }) => {
    const which = ids.map(String);
    if (await atOnce(which, set, () => editChannels({ ids: which, set }, refused))) setChosen([]);
  };
  const number = (it: Channel, name: 'priority' | 'weight', value: number, least: number) =>
    it.source === 'file' ? (
      value
    ) : (
      <InlineNumber
        label={`${t(`channel.${name}`)}, ${it.name}`}
        value={value}
        least={least}
        change={(to) => turn([it.id], name === 'weight' ? { weight: to } : { priority: to })}
      />
    );
  return (
    <Page
      title={t('nav.channels')}
      note={t('channel.what')}
      actions={
        <>
          <Input
            allowClear
            aria-label={t('channel.search')}
            placeholder={t('channel.search')}
            style={{ width: 220 }}
            value={filter.search ?? ''}
            onChange={(event) => change({ search: event.target.value || undefined }, 'replace')}
          />
          {tags.length > 0 && (
            <Select
              allowClear
              aria-label={t('key.tags')}
              placeholder={t('key.tags')}
              style={{ width: 140 }}
              value={filter.tag}
              onChange={(tag) => change({ tag })}
              options={tags.map((value) => ({ value }))}
            />
          )}
          <Button type="primary" icon={<PlusOutlined />} onClick={() => change({ create: '1' })}>
            {t('channel.create')}
          </Button>
        </>
      }
    >
      {filter.first && (
        <Alert type="info" showIcon closable style={{ marginBottom: 16 }} title={t('channel.first')} />
      )}
      {chosen.length > 0 && (
        <div className="row" style={{ marginBottom: 12 }}>
          {t('channel.chosen', { count: chosen.length })}
          <Button onClick={() => setChosen(items.filter((it) => it.source !== 'file').map((it) => it.id))}>
            {t('channel.chooseAll')}
          </Button>
          <Button onClick={() => setEditing(true)}>{t('form.change')}</Button>
          <Button onClick={() => turn(chosen, { enabled: true })}>{t('channel.enable')}</Button>
          <Button
            danger
            onClick={() =>
              confirm({
                title: t('channel.disableTitle', { count: chosen.length }),
                breaks: () => channelsBreak(t, chosen.map(String)),
                action: t('channel.disable'),
                run: () => turn(chosen, { enabled: false }),
              })
            }
          >
            {t('channel.disable')}
          </Button>
        </div>
      )}
      <List<Channel>
        name={t('nav.channels')}
        table="channels"
        rowKey={(it) => it.id}
        data={query.data && { items, total: items.length }}
        error={query.error}
        loading={query.isPending && !query.error}
        again={() => query.refetch()}
        file={csvOf('channels', {})}
        empty={t('channel.empty')}
        next={{ words: t('channel.create'), run: () => change({ create: '1' }) }}
        selection={{
          hideSelectAll: true,
          columnTitle: <span className="unseen">{t('channel.choose')}</span>,
          selectedRowKeys: chosen,
          onChange: setChosen,
          getCheckboxProps: (it) => ({ disabled: it.source === 'file' }),
        }}
        columns={[
          {
            title: t('channel.name'),
            key: 'name',
            render: (_, it) => (
              <>
                <Link className="called" to={`/channels/${encodeURIComponent(it.id)}`}>
                  {it.name}
                </Link>{' '}
                <FromFile source={it.source} />
                <span className="quiet" style={{ display: 'block' }}>
                  {it.provider}
                </span>
                {/* A phone shows the first column alone: how it does belongs there. */}
                {narrow && <HealthTag channel={it} />}
              </>
            ),
          },
          {
            title: t('channel.health'),
            key: 'health',
            render: (_, it) => (
              <div className="names">
                <HealthTag channel={it} why />
                <span className="quiet small num" style={{ display: 'block' }}>
                  {[
                    latencyWords(format, it.latency),
                    it.health?.in_flight && t('channel.underWay', { count: it.health.in_flight }),
                  ]
                    .filter(Boolean)
                    .join(' · ')}
                </span>
              </div>
            ),
          },
          {
            title: t('channel.models'),
            key: 'models',
            render: (_, it) => <Models models={it.models.map((model) => model.group)} most={2} />,
          },
          {
            title: t('channel.priority'),
            key: 'priority',
            align: 'right',
            className: 'num',
            render: (_, it) => number(it, 'priority', it.priority ?? 0, Number.MIN_SAFE_INTEGER),
          },
          {
            title: t('channel.weight'),
            key: 'weight',
            align: 'right',
            className: 'num',
            render: (_, it) => number(it, 'weight', it.weight ?? 1, 0),
          },
          {
            title: t('key.tags'),
            key: 'tags',
            render: (_, it) => <Tags tags={it.tags} />,
          },
          {
            title: t('usage.attempts'),
            key: 'attempts',
            align: 'right',
            className: 'num',
            render: (_, it) => <Tried sums={it.used} />,
          },
          {
            title: t('usage.cost'),
            key: 'cost',
            align: 'right',
            className: 'num',
            render: (_, it) => format.money(it.used?.cost ?? 0),
          },
          {
            title: t('usage.tokens'),
            key: 'tokens',
            more: true,
            align: 'right',
            className: 'num',
            render: (_, it) => format.short((it.used?.input_tokens ?? 0) + (it.used?.output_tokens ?? 0)),
          },
          {
            title: t('channel.groups'),
            key: 'groups',
            more: true,
            render: (_, it) => (
              <span className="row" style={{ gap: 4 }}>
                {it.groups?.map((group) => (
                  <Named key={group} of="groups" id={group} />
                ))}
              </span>
            ),
          },
          {
            title: t('channel.enabled'),
            key: 'enabled',
            render: (_, it) => (
              <Switch
                size="small"
                aria-label={t('channel.enabledOf', { name: it.name })}
                disabled={it.source === 'file'}
                checked={it.enabled ?? true}
                onChange={(enabled) =>
                  enabled
                    ? turn([it.id], { enabled })
                    : confirm({
                        title: t('channel.disableTitle', { count: 1 }),
                        breaks: () => channelsBreak(t, [it.id]),
                        action: t('channel.disable'),
                        run: () => turn([it.id], { enabled }),
                      })
                }
              />
            ),
          },
        ]}
      />
      {editing && (
        <ChannelBulk
          ids={chosen.map(String)}
          tags={tags}
          close={() => setEditing(false)}
          done={() => setChosen([])}
        />
      )}
      {filter.create && <ChannelForm close={() => change({ create: undefined, first: undefined })} />}
    </Page>
  );
}
