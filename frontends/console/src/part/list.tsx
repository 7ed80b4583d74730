// A list of things, a page of it at a time, with what to do where there are none.

import { Button, Input, Table, type TableColumnType, type TableProps } from 'antd';
import { type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';
import { useColumns } from './column';
import { Failure } from './failure';
import { type Next, NothingHere } from './nothing';
import { PAGE, useFilter } from './query';

/** One with `more` is shown where somebody has chosen it. */
export type ListColumn<T> = TableColumnType<T> & { title: string; more?: boolean };

type Props<T> = {
  name: string;
  /** What this browser remembers the choice of columns by. */
  table: string;
  rowKey: (row: T) => string;
  /** The first says what a row is of, and is always shown. */
  columns: ListColumn<T>[];
  data: { items: T[]; total: number } | undefined;
  error: Error | null;
  loading: boolean;
  again?: () => void;
  /** What it says where the list is empty, and what the next step is then. */
  empty: string;
  next?: Next;
  selection?: TableProps<T>['rowSelection'];
  /** Where the whole list is as a table. */
  file?: string;
  /** What more there is of a row. Which are open stands in the address. */
  expand?: { title: string; row: (row: T) => ReactNode };
};

export function List<T extends object>(props: Props<T>) {
  const { t } = useTranslation();
  const [filter, change] = useFilter();
  const [opened, open] = useOpened();
  const page = Math.max(1, Number.parseInt(filter.page ?? '1', 10) || 1);
  const total = props.data?.total ?? 0;
  const [head, ...others] = props.columns;
  const [seen, menu] = useColumns(
    props.table,
    others.map((it) => ({ key: keyOf(it), title: it.title })),
    others.filter((it) => !it.more).map(keyOf),
  );
  const shown = others.filter((it) => seen.includes(keyOf(it))).map(({ more: _, ...column }) => column);
  return (
    <>
      <Failure error={props.error} again={props.again} />
      <div className="row" style={{ justifyContent: 'flex-end', marginBottom: 8 }}>
        {menu}
      </div>
      <Table<T>
        aria-label={props.name}
        size="middle"
        rowKey={props.rowKey}
        columns={head ? [head, ...shown] : shown}
        dataSource={props.data?.items}
        loading={props.loading}
        rowSelection={props.selection}
        expandable={
          props.expand && {
            columnTitle: <span className="unseen">{props.expand.title}</span>,
            expandedRowRender: props.expand.row,
            expandedRowKeys: opened,
            onExpand: (expanded, row) => open(props.rowKey(row), expanded),
          }
        }
        scroll={{ x: 'max-content' }}
        // What couldn't be read isn't nothing.
        locale={{
          emptyText:
            props.loading || props.error ? ' ' : <NothingHere words={props.empty} next={props.next} />,
        }}
        pagination={
          total > PAGE && {
            current: page,
            pageSize: PAGE,
            total,
            showSizeChanger: false,
            showTotal: (count) => t('list.total', { count }),
            onChange: (next) => change({ page: next > 1 ? String(next) : undefined }),
          }
        }
      />
      {props.file && total > 0 && (
        <div style={{ marginTop: 8 }}>
          <Button size="small" href={props.file} download={`${props.file.split(/[/?]/)[3]}.csv`}>
            {t('usage.csv')}
          </Button>
        </div>
      )}
    </>
  );
}

/** Which rows are open, as the address has them, and what opens one or closes it. */
export function useOpened(): [string[], (key: string, expanded: boolean) => void] {
  const [query, set] = useSearchParams();
  const open = (key: string, expanded: boolean) =>
    set(
      (before) => {
        const after = new URLSearchParams(before);
        const others = before.getAll('open').filter((it) => it !== key);
        after.delete('open');
        for (const it of expanded ? [...others, key] : others) after.append('open', it);
        return after;
      },
      { replace: !expanded },
    );
  return [query.getAll('open'), open];
}

function keyOf<T>(column: ListColumn<T>): string {
  return String(column.key ?? column.dataIndex);
}

/** A search whose text stands in the address. */
export function Search({ label, name = 'search' }: { label: string; name?: string }) {
  const [filter, change] = useFilter();
  const there = filter[name] ?? '';
  const [text, setText] = useState(there);
  useEffect(() => setText(there), [there]);
  return (
    <Input.Search
      allowClear
      aria-label={label}
      placeholder={label}
      style={{ width: 260, maxWidth: '100%' }}
      value={text}
      onChange={(event) => {
        setText(event.target.value);
        if (!event.target.value) change({ [name]: undefined });
      }}
      onSearch={(value) => change({ [name]: value.trim() || undefined })}
    />
  );
}
