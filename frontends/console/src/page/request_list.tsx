// The log of calls. Only the rows that are seen are in the page, however many there are.

import { useInfiniteQuery } from '@tanstack/react-query';
import { Alert, Button, Input, Select, Switch } from 'antd';
import type { TFunction } from 'i18next';
import {
  type CSSProperties,
  type MouseEvent,
  memo,
  type ReactNode,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation, useNavigate, useNavigationType } from 'react-router';
import { api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { Between } from '../part/between';
import { Chips } from '../part/chip';
import { useColumns } from '../part/column';
import { Failure } from '../part/failure';
import { type Formats, useFormat } from '../part/format';
import { type Kind, useName } from '../part/name';
import { useNarrow } from '../part/narrow';
import { NothingHere } from '../part/nothing';
import { Page } from '../part/page';
import { PickNamed } from '../part/pick';
import { leavePlace, placeOf } from '../part/place';
import { Spinner, Tag } from '../part/plain';
import { useFilter } from '../part/query';
import { useTail } from '../part/tail';
import { useShown } from '../part/window';

type Call = Schemas['Record'];

const STEP = 200;
const ROW = 44;
/** So many rows before the end of what was read, more is asked for. */
const AHEAD = 80;
/** Its columns and how wide they are, in pixels and in shares of what is left; the first leads to the call. */
const WIDTHS: Record<string, [number, number]> = {
  when: [132, 0],
  outcome: [120, 1],
  model: [120, 1.3],
  key: [110, 1.2],
  channel: [110, 1],
  duration: [150, 0],
  tokens: [60, 0],
  spend: [88, 0],
  user: [110, 1],
  group: [110, 1],
  customer: [110, 1],
  tags: [110, 1],
  id: [140, 1],
};
const HEAD = Object.keys(WIDTHS);
/** What is shown unless somebody chooses otherwise. */
const FIRST = ['outcome', 'model', 'key', 'channel', 'duration', 'tokens', 'spend'];
const GAP = 12;

/** The columns that are shown, as the grid that its rows are. */
function grid(shown: string[]): CSSProperties {
  const widths = shown.map((it): [number, number] => WIDTHS[it] ?? [110, 1]);
  const tracks = widths.map(([least, share]) => (share ? `minmax(${least}px, ${share}fr)` : `${least}px`));
  const least = widths.reduce((sum, [it]) => sum + it, 0) + GAP * (widths.length + 1);
  return { '--tracks': tracks.join(' '), '--least': `${least}px` } as CSSProperties;
}

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
/** Filters that are shown when somebody wants them, or has set one. */
const SELDOM = ['tag', 'customer', 'duration_over'];
/** More are counted only up to here. */
const COUNTED = 10_000;

export default function RequestList() {
  const { t } = useTranslation();
  const format = useFormat();
  const me = useMe();
  const [filter, change] = useFilter();
  const narrow = useNarrow();
  const [unfolded, setUnfolded] = useState(false);
  const [opened, setWide] = useState(false);
  const wide = opened || SELDOM.some((name) => filter[name]);
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
  const hidden = ['organization', 'error', 'cost_over'];
  if (!may(me, 'readAll')) hidden.push('user');
  if (!may(me, 'super')) hidden.push('channel');
  // What ends now is before no end, and has an ID that nobody knows yet.
  const followed = !filter.to && !filter.search;
  const tail = useTail(named, Boolean(live) && followed);
  const pages = calls.data?.pages;
  const rows = useMemo(() => together(tail.calls, pages?.map((it) => it.items) ?? []), [pages, tail.calls]);
  const total = pages?.[0]?.total;
  const [seen, menu] = useColumns(
    'requests',
    HEAD.slice(1).map((key) => ({ key, title: t(`request.column.${key}`) })),
    FIRST,
  );
  const shown = useMemo(() => HEAD.filter((it, at) => at === 0 || seen.includes(it)), [seen]);
  const file = `/api/v1/records?${new URLSearchParams({ ...(named as Record<string, string>), format: 'csv' })}`;
  return (
    <Page
      title={t('nav.requests')}
      note={
        total == null
          ? undefined
          : total > COUNTED
            ? t('request.many', { count: format.whole(COUNTED) })
            : t('request.total', {
                count: total + tail.calls.length,
                amount: format.whole(total + tail.calls.length),
              })
      }
      actions={
        <>
          <span className="row" title={followed ? undefined : t('request.liveBound')}>
            <Switch
              size="small"
              aria-label={t('request.live')}
              disabled={!followed}
              checked={Boolean(live) && followed}
              onChange={(on) => change({ live: on ? '1' : undefined })}
            />
            {t('request.live')}
          </span>
          <Button href={file} download="requests.csv">
            {t('usage.csv')}
          </Button>
          {menu}
        </>
      }
    >
      {narrow && (
        <Button style={{ marginBottom: 12 }} aria-expanded={unfolded} onClick={() => setUnfolded(!unfolded)}>
          {t('request.filters', { count: Object.keys(named).length })}
        </Button>
      )}
      <div className="row" hidden={narrow && !unfolded} style={{ marginBottom: 12 }}>
        <Between filter={filter} change={change} read={time} />
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
        {may(me, 'super') && (
          <PickNamed
            of="channels"
            style={{ width: 150 }}
            value={filter.channel}
            onChange={(channel) => change({ channel })}
          />
        )}

        <Text name="search" label={t('request.id')} />
        {wide ? (
          SELDOM.map((name) => <Text key={name} name={name} label={t(`request.seldom.${name}`)} />)
        ) : (
          <Button onClick={() => setWide(true)}>{t('request.more')}</Button>
        )}
        {Object.keys(named).length > 0 && (
          <Button
            onClick={() => change(Object.fromEntries(Object.keys(named).map((name) => [name, undefined])))}
          >
            {t('request.clear')}
          </Button>
        )}
      </div>
      <Chips of={hidden} />
      {tail.lost && (
        <Alert type="error" showIcon style={{ marginBottom: 12 }} title={t('request.disconnected')} />
      )}
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
        <NothingHere
          words={t(filter.from || filter.to ? 'request.noneThen' : 'request.none')}
          next={may(me, 'write') ? { words: t('nav.keys'), to: '/keys' } : undefined}
        />
      ) : (
        <Rows
          rows={rows}
          shown={shown}
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

type Words = {
  t: TFunction;
  format: Formats;
  name: (of: Kind, id: string) => string;
  /** The columns that are shown. */
  shown: string[];
};

function Rows(props: { rows: Call[]; shown: string[]; more: boolean; fetching: boolean; fetch: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const name = useNames();
  const navigate = useNavigate();
  const { search } = useLocation();
  const back = useBack();
  const scroller = useRef<HTMLDivElement>(null);
  const { rows, shown, more, fetching, fetch } = props;
  const words = useMemo(() => ({ t, format, name, shown }), [t, format, name, shown]);
  const count = rows.length + (more ? 1 : 0);
  const { from, to } = useShown(scroller, count, ROW);
  useEffect(() => {
    if (more && !fetching && to >= rows.length - AHEAD) fetch();
  }, [to, more, fetching, fetch, rows.length]);
  // What comes in at the top doesn't move what is read below it.
  const [fresh, setFresh] = useState(0);
  const seen = useRef(rows[0]);
  useLayoutEffect(() => {
    const came = seen.current ? rows.findIndex((it) => it.call === seen.current?.call) : -1;
    seen.current = rows[0];
    const log = scroller.current;
    if (!log || came <= 0 || log.scrollTop === 0) return;
    log.scrollTop += came * ROW;
    setFresh((count) => count + came);
  }, [rows]);
  // Once its rows are there, it stands where it stood.
  const tall = rows.length > 0;
  useLayoutEffect(() => {
    const top = back && tall ? placeOf(search) : undefined;
    if (top !== undefined) scroller.current?.scrollTo({ top });
  }, [back, tall, search]);
  const open = (event: MouseEvent<HTMLDivElement>) => {
    // Links go by themselves, also into a new tab; whoever marks words to copy them goes nowhere.
    const target = event.target as HTMLElement;
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    const link = target.closest<HTMLElement>('[role=row]')?.querySelector('a');
    const to = link?.getAttribute('href');
    if (!to) return;
    leavePlace(search, scroller.current?.scrollTop ?? 0);
    if (!plain || getSelection()?.toString()) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <>
      {fresh > 0 && (
        <div className="fresh">
          <Button
            size="small"
            shape="round"
            type="primary"
            onClick={() => scroller.current?.scrollTo({ top: 0 })}
          >
            {t('request.fresh', { count: fresh })}
          </Button>
        </div>
      )}
      <div
        ref={scroller}
        onScroll={(event) => fresh > 0 && event.currentTarget.scrollTop === 0 && setFresh(0)}
        role="table"
        aria-label={t('nav.requests')}
        aria-rowcount={more ? -1 : rows.length + 1}
        tabIndex={0}
        className="log"
        style={grid(shown)}
        onClick={open}
      >
        <div role="rowgroup" className="log-head">
          <div role="row" className="line">
            {shown.map((it) => (
              <span key={it} role="columnheader">
                {t(`request.column.${it}`)}
              </span>
            ))}
          </div>
        </div>
        <div role="rowgroup" className="log-body" style={{ height: count * ROW }}>
          {Array.from({ length: to - from }, (_, index) => (
            <Row key={from + index} at={from + index} row={rows[from + index]} words={words} />
          ))}
        </div>
      </div>
    </>
  );
}

/** Whether one comes back to a page, by the browser's way or the page's own. */
function useBack(): boolean {
  const by = useNavigationType();
  const { state } = useLocation();
  return by === 'POP' || (state as { back?: boolean } | null)?.back === true;
}

/** A row that is drawn once, however often the log is moved: what it needs comes to it, and nothing in it listens. */
const Row = memo(function Row(props: { at: number; row: Call | undefined; words: Words }) {
  const { row, words } = props;
  return (
    <div
      role="row"
      aria-rowindex={props.at + 2}
      className="line"
      style={{ transform: `translateY(${props.at * ROW}px)` }}
    >
      {row ? <Cells row={row} words={words} /> : <Spinner />}
    </div>
  );
});

function Cells({ row, words }: { row: Call; words: Words }) {
  const { t, format, name, shown } = words;
  const attempts = row.attempts ?? [];
  const last = attempts.at(-1);
  const mark = row.outcome === 'ok' ? 'good' : row.outcome === 'denied' ? 'warn' : 'bad';
  const first =
    row.stream && row.first_byte_at != null
      ? ` / ${format.duration(row.first_byte_at - row.started_at)}`
      : '';
  const cells: Record<string, () => [ReactNode, string?]> = {
    when: () => [
      <a key="call" href={`/requests/${encodeURIComponent(row.call)}`}>
        {format.moment(row.started_at)}
      </a>,
    ],
    outcome: () => [
      row.error ? t(`kind.${row.error}`, row.error) : t(`outcome.${row.outcome}`, row.outcome),
      `mark-${mark}`,
    ],
    model: () => [row.stream ? `${row.model} · ${t('request.stream')}` : row.model],
    key: () => [row.key ? name('keys', row.key) : '–'],
    channel: () => [
      last ? `${name('channels', last.channel)}${attempts.length > 1 ? ` (${attempts.length})` : ''}` : '–',
    ],
    duration: () => [`${format.duration(row.ended_at - row.started_at)}${first}`, 'num'],
    tokens: () => [format.short(tokensOf(row.usage)), 'num'],
    spend: () => [format.money(row.spend), 'num'],
    user: () => [row.user ? name('users', row.user) : '–'],
    group: () => [row.group ? name('groups', row.group) : '–'],
    customer: () => [row.customer ?? '–'],
    tags: () => [row.tags?.join(', ') || '–'],
    id: () => [row.call, 'mono'],
  };
  return shown.map((it) => {
    const [inside, look] = cells[it]?.() ?? [];
    return (
      <span key={it} role="cell" className={look}>
        {inside}
      </span>
    );
  });
}

/** What things of any kind are called. */
function useNames(): Words['name'] {
  const [keys, channels, users, groups] = [
    useName('keys'),
    useName('channels'),
    useName('users'),
    useName('groups'),
  ];
  return useMemo(() => {
    const names: Partial<Record<Kind, (id: string) => string>> = { keys, channels, users, groups };
    return (of, id) => names[of]?.(id) ?? id;
  }, [keys, channels, users, groups]);
}

function tokensOf(usage: Call['usage']): number {
  return usage
    ? (usage.input_uncached ?? 0) +
        (usage.cache_read ?? 0) +
        (usage.cache_read_audio ?? 0) +
        (usage.cache_read_image ?? 0) +
        (usage.cache_write ?? 0) +
        (usage.cache_write_1h ?? 0) +
        (usage.audio_in ?? 0) +
        (usage.image_in ?? 0) +
        (usage.output_visible ?? 0) +
        (usage.output_reasoning ?? 0) +
        (usage.audio_out ?? 0) +
        (usage.image_out ?? 0)
    : 0;
}

export function Outcome({ record }: { record: Pick_<Call, 'outcome' | 'error'> }) {
  const { t } = useTranslation();
  const good = record.outcome === 'ok';
  const name = record.error
    ? t(`kind.${record.error}`, record.error)
    : t(`outcome.${record.outcome}`, record.outcome);
  return (
    <Tag
      tone={good ? 'good' : record.outcome === 'denied' ? 'warn' : 'bad'}
      title={t(`outcome.${record.outcome}`, record.outcome)}
    >
      {name}
    </Tag>
  );
}

type Pick_<T, K extends keyof T> = { [P in K]: T[P] };
