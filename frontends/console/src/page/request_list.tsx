// The log of calls. Only the rows that are seen are in the page, however many there are.

import { useInfiniteQuery } from '@tanstack/react-query';
import { useVirtualizer } from '@tanstack/react-virtual';
import { Alert, Button, DatePicker, Empty, Input, Select, Spin, Switch, Tag, theme } from 'antd';
import dayjs from 'dayjs';
import type { TFunction } from 'i18next';
import { memo, useEffect, useMemo, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { Failure } from '../part/failure';
import { type Formats, useFormat } from '../part/format';
import { useChannelName, useKeyName } from '../part/name';
import { Page } from '../part/page';
import { PickNamed } from '../part/pick';
import { useFilter } from '../part/query';
import { useTail } from '../part/tail';

type Call = Schemas['Record'];

const STEP = 200;
const ROW = 44;
const COLUMNS = '196px 140px minmax(140px, 1.4fr) minmax(110px, 1fr) minmax(120px, 1fr) 110px 90px 100px';

const STATUSES = [
  'ok',
  'failed',
  'denied',
  'timeout',
  'rate_limited',
  'overloaded',
  'server_error',
  'unreachable',
  'auth',
  'no_balance',
  'bad_request',
  'context_too_long',
  'content_policy',
  'not_found',
  'nonsense',
  'broken',
  'client_gone',
];
/** More are counted only up to here. */
const COUNTED = 10_000;

export default function RequestList() {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe();
  const [filter, change] = useFilter();
  const { create: _, live, page: __, ...named } = filter;
  const calls = useInfiniteQuery({
    queryKey: ['records', named],
    initialPageParam: '',
    queryFn: ({ pageParam }) =>
      take(
        api.GET('/api/v1/records', {
          params: { query: { ...named, limit: String(STEP), ...(pageParam && { cursor: pageParam }) } },
        }),
      ),
    getNextPageParam: (last) => last.next ?? undefined,
    // A page that came doesn't change; to compare all of them with themselves each time would be felt.
    structuralSharing: false,
  });
  const tail = useTail(named, Boolean(live));
  const pages = calls.data?.pages;
  const rows = useMemo(() => together(tail.calls, pages?.map((it) => it.items) ?? []), [pages, tail.calls]);
  const total = pages?.[0]?.total;
  const file = `/api/v1/records?${new URLSearchParams({ ...(named as Record<string, string>), format: 'csv' })}`;
  return (
    <Page
      title={t('nav.requests')}
      note={
        total == null
          ? undefined
          : total > COUNTED
            ? t('request.many', { count: format.whole(COUNTED) })
            : t('request.total', { count: total + tail.calls.length })
      }
      actions={
        <>
          <span className="row">
            <Switch
              size="small"
              aria-label={t('request.live')}
              checked={Boolean(live)}
              onChange={(on) => change({ live: on ? '1' : undefined })}
            />
            {t('request.live')}
          </span>
          <Button href={file} download="requests.csv">
            {t('usage.csv')}
          </Button>
        </>
      }
    >
      <div className="row" style={{ marginBottom: 12 }}>
        <DatePicker.RangePicker
          showTime
          allowEmpty={[true, true]}
          aria-label={t('request.when')}
          value={[filter.from ? dayjs(time(filter.from)) : null, filter.to ? dayjs(time(filter.to)) : null]}
          onChange={(range) => change({ from: range?.[0]?.toISOString(), to: range?.[1]?.toISOString() })}
        />
        <Select
          allowClear
          aria-label={t('request.column.outcome')}
          placeholder={t('request.column.outcome')}
          style={{ width: 150 }}
          value={filter.status}
          onChange={(status) => change({ status })}
          options={STATUSES.map((value) => ({
            value,
            label: value === 'failed' ? t('request.failed') : t(`outcome.${value}`),
          }))}
        />
        <Text name="model" label={t('request.model')} />
        <PickNamed of="keys" style={{ width: 170 }} value={filter.key} onChange={(key) => change({ key })} />
        <PickNamed
          of="groups"
          style={{ width: 150 }}
          value={filter.group}
          onChange={(group) => change({ group })}
        />
        {may(me, 'readAll') && (
          <PickNamed
            of="users"
            style={{ width: 150 }}
            value={filter.user}
            onChange={(user) => change({ user })}
          />
        )}
        {may(me, 'super') && <Text name="channel" label={t('request.channel')} />}
        <Text name="tag" label={t('request.tag')} />
        <Text name="customer" label={t('request.customer')} />
        <Text name="duration_over" label={t('request.slower')} />
        <Text name="search" label={t('request.id')} />
        {Object.keys(named).length > 0 && (
          <Button
            onClick={() => change(Object.fromEntries(Object.keys(named).map((name) => [name, undefined])))}
          >
            {t('request.clear')}
          </Button>
        )}
      </div>
      {tail.dropped > 0 && (
        <Alert
          type="warning"
          showIcon
          style={{ marginBottom: 12 }}
          title={t('request.dropped', { count: tail.dropped })}
        />
      )}
      <Failure error={calls.error} again={() => calls.refetch()} />
      {calls.isSuccess && rows.length === 0 && !calls.hasNextPage ? (
        <Empty description={t(Object.keys(named).length > 0 ? 'request.noneSuch' : 'request.none')} />
      ) : (
        <Rows
          rows={rows}
          more={calls.hasNextPage}
          fetching={calls.isFetchingNextPage || calls.isPending}
          fetch={() => calls.fetchNextPage()}
        />
      )}
    </Page>
  );
}

/** What the server told as it ended may stand in a page that was read later, one of the newest: none is shown twice. */
function together(told: Call[], pages: Call[][]): Call[] {
  const id = (it: Call) => `${it.call} ${it.amends ?? ''}`;
  const newest = told.length > 0 ? new Set(pages.slice(0, 3).flat().map(id)) : null;
  return [...(newest ? told.filter((it) => !newest.has(id(it))) : []), ...pages.flat()];
}

function time(text: string): string | number {
  return /^\d{10,}$/.test(text) ? Number(text) : text;
}

function Text({ name, label }: { name: string; label: string }) {
  const [filter, change] = useFilter();
  return (
    <Input
      key={filter[name] ?? ''}
      allowClear
      aria-label={label}
      placeholder={label}
      style={{ width: 150 }}
      defaultValue={filter[name]}
      onPressEnter={(event) => change({ [name]: event.currentTarget.value.trim() || undefined })}
      onBlur={(event) => change({ [name]: event.currentTarget.value.trim() || undefined })}
      onClear={() => change({ [name]: undefined })}
    />
  );
}

function Rows(props: { rows: Call[]; more: boolean; fetching: boolean; fetch: () => void }) {
  const { t } = useTranslation();
  const { token } = theme.useToken();
  const format = useFormat();
  const channel = useChannelName();
  const name = useKeyName();
  const words = useMemo(() => ({ t, format, channel, name }), [t, format, channel, name]);
  const scroller = useRef<HTMLDivElement>(null);
  const { rows, more, fetching, fetch } = props;
  const virtual = useVirtualizer({
    count: rows.length + (more ? 1 : 0),
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  const shown = virtual.getVirtualItems();
  const last = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && !fetching && last >= rows.length - 20) fetch();
  }, [last, more, fetching, fetch, rows.length]);
  const head = ['when', 'outcome', 'model', 'key', 'channel', 'duration', 'tokens', 'spend'];
  return (
    <div
      ref={scroller}
      role="table"
      aria-label={t('nav.requests')}
      aria-rowcount={more ? -1 : rows.length + 1}
      tabIndex={0}
      className="log"
      style={{
        ...({
          '--good': token.colorSuccess,
          '--warn': token.colorWarning,
          '--bad': token.colorError,
        } as object),
        height: 'calc(100vh - 250px)',
        minHeight: 320,
        overflow: 'auto',
        background: token.colorBgContainer,
        border: `1px solid ${token.colorBorderSecondary}`,
        borderRadius: 8,
      }}
    >
      <div
        role="rowgroup"
        style={{ position: 'sticky', top: 0, zIndex: 1, background: token.colorBgContainer, minWidth: 1060 }}
      >
        <div
          role="row"
          className="line"
          style={{ gridTemplateColumns: COLUMNS, height: 40, borderColor: token.colorBorderSecondary }}
        >
          {head.map((name) => (
            <span key={name} role="columnheader" style={{ fontWeight: 600 }}>
              {t(`request.column.${name}`)}
            </span>
          ))}
        </div>
      </div>
      <div role="rowgroup" style={{ position: 'relative', height: virtual.getTotalSize(), minWidth: 1060 }}>
        {shown.map((it) => {
          const row = rows[it.index];
          return (
            <div
              key={it.key}
              role="row"
              aria-rowindex={it.index + 2}
              className="line"
              style={{
                position: 'absolute',
                top: 0,
                insetInline: 0,
                height: ROW,
                transform: `translateY(${it.start}px)`,
                gridTemplateColumns: COLUMNS,
                borderColor: token.colorBorderSecondary,
              }}
            >
              {row ? <Row row={row} words={words} /> : <Spin size="small" />}
            </div>
          );
        })}
      </div>
    </div>
  );
}

type Words = { t: TFunction; format: Formats; channel: (id: string) => string; name: (id: string) => string };

const Row = memo(function Row({ row, words }: { row: Call; words: Words }) {
  const { t, format, channel, name } = words;
  const navigate = useNavigate();
  const to = `/requests/${encodeURIComponent(row.call)}`;
  const usage = row.usage;
  const tokens = usage
    ? (usage.input_uncached ?? 0) +
      (usage.cache_read ?? 0) +
      (usage.cache_write ?? 0) +
      (usage.cache_write_1h ?? 0) +
      (usage.output_visible ?? 0) +
      (usage.output_reasoning ?? 0)
    : 0;
  const attempts = row.attempts ?? [];
  const last = attempts.at(-1);
  const good = row.outcome === 'ok';
  const cells = [
    <Link key="w" to={to}>
      {format.time(row.started_at)}
    </Link>,
    <span key="o" className={good ? 'mark-good' : row.outcome === 'denied' ? 'mark-warn' : 'mark-bad'}>
      {row.error ? t(`kind.${row.error}`, row.error) : t(`outcome.${row.outcome}`, row.outcome)}
    </span>,
    `${row.model}${row.stream ? ` · ${t('request.stream')}` : ''}`,
    row.key ? name(row.key) : '–',
    last ? `${channel(last.channel)}${attempts.length > 1 ? ` (${attempts.length})` : ''}` : '–',
    `${format.duration(row.ended_at - row.started_at)}${
      row.first_byte_at != null && row.stream
        ? ` / ${format.duration(row.first_byte_at - row.started_at)}`
        : ''
    }`,
    format.short(tokens),
    format.money(row.spend),
  ];
  return cells.map((cell, index) => (
    <span
      key={index}
      role="cell"
      className={index >= 5 ? 'num cut' : 'cut'}
      style={{ cursor: 'pointer' }}
      onClick={(event) => {
        // A link goes by itself, also into a new tab.
        if (!(event.target instanceof HTMLAnchorElement)) navigate(to);
      }}
    >
      {cell}
    </span>
  ));
});

export function Outcome({ record }: { record: Pick_<Call, 'outcome' | 'error'> }) {
  const { t } = useTranslation();
  const good = record.outcome === 'ok';
  const name = record.error
    ? t(`kind.${record.error}`, record.error)
    : t(`outcome.${record.outcome}`, record.outcome);
  return (
    <Tag
      color={good ? 'success' : record.outcome === 'denied' ? 'warning' : 'error'}
      title={t(`outcome.${record.outcome}`, record.outcome)}
    >
      {name}
    </Tag>
  );
}

type Pick_<T, K extends keyof T> = { [P in K]: T[P] };
