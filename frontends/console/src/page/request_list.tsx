// The log of calls. Only the rows that are seen are in the page, however many there are.

import { useInfiniteQuery } from '@tanstack/react-query';
import { useVirtualizer } from '@tanstack/react-virtual';
import { Button, DatePicker, Empty, Input, Spin, Switch, Tag, theme } from 'antd';
import dayjs from 'dayjs';
import { useEffect, useMemo, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { useChannelName, useKeyName } from '../part/name';
import { Page } from '../part/page';
import { Pick } from '../part/pick';
import { useFilter } from '../part/query';

type Call = Schemas['Record'];

const STEP = 200;
const ROW = 44;
const COLUMNS = '196px 140px minmax(140px, 1.4fr) minmax(110px, 1fr) minmax(120px, 1fr) 110px 90px 100px';

export default function RequestList() {
  const { t } = useTranslation();
  const me = useMe();
  const [filter, change] = useFilter();
  const { create: _, live, page: __, ...named } = filter;
  const calls = useInfiniteQuery({
    queryKey: ['records', named],
    initialPageParam: 0,
    queryFn: ({ pageParam }) =>
      take(
        api.GET('/api/v1/records', {
          params: { query: { ...named, limit: String(STEP), offset: String(pageParam) } },
        }),
      ),
    getNextPageParam: (last, all) => {
      const have = all.reduce((sum, it) => sum + it.items.length, 0);
      return have < last.total && last.items.length > 0 ? have : undefined;
    },
    refetchInterval: (query) => (live && (query.state.data?.pages.length ?? 0) <= 2 ? 3_000 : false),
  });
  const pages = calls.data?.pages;
  const rows = useMemo(() => once(pages?.flatMap((it) => it.items) ?? []), [pages]);
  return (
    <Page
      title={t('nav.requests')}
      note={t('request.total', { count: calls.data?.pages[0]?.total ?? 0 })}
      actions={
        <span className="row">
          <Switch
            size="small"
            aria-label={t('request.live')}
            checked={Boolean(live)}
            onChange={(on) => change({ live: on ? '1' : undefined })}
          />
          {t('request.live')}
        </span>
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
        <Text name="model" label={t('request.model')} />
        <Pick
          of="keys"
          style={{ width: 170 }}
          aria-label={t('key.hint')}
          placeholder={t('key.hint')}
          value={filter.key}
          onChange={(key) => change({ key })}
        />
        <Pick
          of="groups"
          style={{ width: 150 }}
          aria-label={t('key.group')}
          placeholder={t('key.group')}
          value={filter.group}
          onChange={(group) => change({ group })}
        />
        {may(me, 'readAll') && (
          <Pick
            of="users"
            style={{ width: 150 }}
            aria-label={t('key.user')}
            placeholder={t('key.user')}
            value={filter.user}
            onChange={(user) => change({ user })}
          />
        )}
        {may(me, 'super') && <Text name="channel" label={t('request.channel')} />}
        <Text name="call" label={t('request.id')} />
        {Object.keys(named).length > 0 && (
          <Button
            onClick={() => change(Object.fromEntries(Object.keys(named).map((name) => [name, undefined])))}
          >
            {t('request.clear')}
          </Button>
        )}
      </div>
      <Failure error={calls.error} again={() => calls.refetch()} />
      {calls.isSuccess && rows.length === 0 ? (
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

/** A page that was read anew after calls came in begins where the one before it ended then: none is shown twice. */
function once(calls: Call[]): Call[] {
  const seen = new Set<string>();
  return calls.filter((it) => {
    const id = `${it.call} ${it.amends ?? ''}`;
    return !seen.has(id) && seen.add(id);
  });
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
      style={{
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
              {row ? <Row row={row} /> : <Spin size="small" />}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Row({ row }: { row: Call }) {
  const { t } = useTranslation();
  const format = useFormat();
  const navigate = useNavigate();
  const channel = useChannelName();
  const key = useKeyName();
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
  const cells = [
    <Link key="w" to={to}>
      {format.time(row.started_at)}
    </Link>,
    <Outcome key="o" record={row} />,
    <>
      {row.model} {row.stream && <Tag>{t('request.stream')}</Tag>}
    </>,
    row.key ? key(row.key) : '–',
    last ? `${channel(last.channel)}${attempts.length > 1 ? ` (${attempts.length})` : ''}` : '–',
    <>
      {format.duration(row.ended_at - row.started_at)}
      {row.first_byte_at != null && row.stream
        ? ` / ${format.duration(row.first_byte_at - row.started_at)}`
        : ''}
    </>,
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
}

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
