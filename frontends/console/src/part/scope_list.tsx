// The list of groups, of users, or of organizations: who they are, how they stand, what they used. One shape for all.

import { PlusOutlined } from '@ant-design/icons';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Button } from 'antd';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import type { Schemas } from '../api/client';
import { FromFile, Name, Named, Standing } from './badge';
import { Chips } from './chip';
import { useFormat } from './format';
import { List, type ListColumn, Search } from './list';
import { Page } from './page';
import { csvOf, paging, useFilter } from './query';
import { Fullest } from './use';

type Scope = {
  id: string;
  /** Whose they are; organizations are nobody's. */
  organization?: string;
  blocked: boolean;
  source: 'file' | 'database';
  limit_states: Schemas['LimitUse'][];
  used: Schemas['Sums'];
  created_at: number;
};

type Query = Record<string, string>;

type Props<T> = {
  kind: 'groups' | 'users' | 'organizations';
  /** Whether the reader may make one. */
  make: boolean;
  /** What they are, what a search is for, what makes one, and what a name is headed by. */
  say: { what: string; search: string; create: string; name: string };
  /** What else than a search the address may ask for. */
  filters: string[];
  read: (query: Query) => Promise<{ items: T[]; total: number }>;
  name: (it: T) => string | null | undefined;
  empty: string;
  columns: ListColumn<T>[];
  form: (close: () => void, done: (it: T) => void) => ReactNode;
  /** What the page of a new one is told. */
  fresh?: string;
};

export function ScopeList<T extends Scope>(props: Props<T>) {
  const { t } = useTranslation();
  const format = useFormat();
  const navigate = useNavigate();
  const { make } = props;
  const [filter, change] = useFilter();
  const asked = ['search', ...props.filters].flatMap((it) => (filter[it] ? [[it, filter[it]]] : []));
  const query: Query = { ...paging(filter), ...Object.fromEntries(asked) };
  const list = useQuery({
    queryKey: [props.kind, query],
    queryFn: () => props.read(query),
    placeholderData: keepPreviousData,
  });
  const figure = (title: string, key: string, say: (it: T) => string, more?: boolean) => ({
    more,
    title: t(title),
    key,
    align: 'right' as const,
    className: 'num',
    render: (_: unknown, it: T) => say(it),
  });
  return (
    <Page
      title={t(`nav.${props.kind}`)}
      note={props.say.what}
      actions={
        <>
          <Search label={props.say.search} />
          {make && (
            <Button type="primary" icon={<PlusOutlined />} onClick={() => change({ create: '1' })}>
              {props.say.create}
            </Button>
          )}
        </>
      }
    >
      <Chips of={props.filters} />
      <List<T>
        name={t(`nav.${props.kind}`)}
        table={props.kind}
        rowKey={(it) => it.id}
        data={list.data}
        error={list.error}
        loading={list.isFetching && !list.data}
        again={() => list.refetch()}
        file={csvOf(props.kind, query)}
        empty={props.empty}
        next={make ? { words: props.say.create, run: () => change({ create: '1' }) } : undefined}
        columns={[
          {
            title: props.say.name,
            key: 'name',
            render: (_, it) => (
              <>
                <Name to={`/${props.kind}`} name={props.name(it)} id={it.id} />{' '}
                <FromFile source={it.source} />
              </>
            ),
          },
          ...(props.kind === 'organizations'
            ? []
            : [
                {
                  title: t('form.organization'),
                  dataIndex: 'organization',
                  render: (id: string) => <Named of="organizations" id={id} />,
                },
              ]),
          { title: t('state.title'), key: 'state', render: (_, it) => <Standing blocked={it.blocked} /> },
          ...props.columns,
          {
            title: t('limit.fullest'),
            key: 'limits',
            render: (_, it) => <Fullest states={it.limit_states} />,
          },
          figure('usage.requests', 'requests', (it) => format.whole(it.used.requests)),
          figure('usage.spend', 'spend', (it) => format.money(it.used.spend)),
          figure('usage.inputTokens', 'input', (it) => format.short(it.used.input_tokens), true),
          figure('usage.outputTokens', 'output', (it) => format.short(it.used.output_tokens), true),
          figure('usage.failures', 'failed', (it) => format.whole(it.used.failures - it.used.denials), true),
          figure('usage.denied', 'denied', (it) => format.whole(it.used.denials), true),
          figure('form.created', 'created', (it) => format.date(it.created_at), true),
        ]}
      />
      {filter.create &&
        make &&
        props.form(
          () => change({ create: undefined }),
          (it) => navigate(`/${props.kind}/${encodeURIComponent(it.id)}${props.fresh ?? ''}`),
        )}
    </Page>
  );
}
