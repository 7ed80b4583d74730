// What recorded calls would have come to under this text.

import { useMutation, useQuery } from '@tanstack/react-query';
import { Button, Card, Select, Table } from 'antd';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, take } from '../api/client';
import { Named } from '../part/badge';
import { Failure } from '../part/failure';
import { useFormat } from '../part/format';
import { Long } from '../part/long';
import { Figures } from '../part/sums';

type Row = Schemas['ReplayRow'];

const DAY = 86_400_000;

/** How far the replay is. */
function Course({ stop }: { stop: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { data } = useQuery({
    queryKey: ['replay'],
    queryFn: () => take(api.GET('/api/v1/replay')),
    refetchInterval: 700,
    gcTime: 0,
  });
  const it = data?.running;
  const done = format.whole(it?.done ?? 0);
  return (
    <Long
      what={t(`replay.phase.${it?.phase ?? 'reading'}`)}
      share={it ? it.share_ppm / 1e6 : undefined}
      at={
        it?.at == null
          ? undefined
          : t(it.of == null ? 'replay.at' : 'replay.atOf', {
              done,
              of: format.whole(it.of ?? 0),
              time: format.moment(it.at),
            })
      }
      stop={() => {
        stop();
        // Something between may keep the request up; the gateway is told as well.
        void api.DELETE('/api/v1/replay').catch(() => undefined);
      }}
    />
  );
}

type Draft = Pick<Schemas['ReplayPolicy'], 'name' | 'organization' | 'group' | 'key' | 'on_error'> & {
  text: string;
};

export function PolicyReplay({ draft }: { draft: Draft }) {
  const { t } = useTranslation();
  const format = useFormat();
  const [days, setDays] = useState(7);
  const stop = useRef<AbortController>(null);
  useEffect(() => () => stop.current?.abort(), []);
  const ask = useMutation({
    mutationFn: async () => {
      const control = new AbortController();
      stop.current = control;
      const from = new Date(Date.now() - days * DAY).toISOString();
      const answer = api.POST('/api/v1/replay', {
        body: { from, policies: [draft] },
        signal: control.signal,
      });
      // Who stops it isn't told that it was stopped.
      return (await take(answer).catch((error) => {
        if (control.signal.aborted) return null;
        throw error;
      })) as Schemas['ReplayReport'] | null;
    },
  });
  const report = ask.data;
  const usd = (text: string) => format.money(Number(text) * 1e9);
  return (
    <Card title={t('replay.title')}>
      <div className="row" style={{ marginBottom: 12 }}>
        <Select
          aria-label={t('overview.period')}
          style={{ width: 120 }}
          value={days}
          onChange={setDays}
          options={[1, 7, 30].map((value) => ({
            value,
            label: value === 1 ? t('overview.today') : t('overview.days', { count: value }),
          }))}
        />
        <Button disabled={ask.isPending} onClick={() => ask.mutate()}>
          {t('replay.ask')}
        </Button>
        <span>{t('replay.hint')}</span>
      </div>
      {ask.isPending && <Course stop={() => stop.current?.abort()} />}
      <Failure error={ask.error} />
      {report && (
        <div className="stack" aria-live="polite">
          <Figures
            figures={[
              { name: t('shadow.calls'), value: format.whole(report.records.calls) },
              { name: t('replay.changed'), value: format.whole(report.records.changed) },
              {
                name: t('replay.denied'),
                value: format.whole(report.total.replayed.denied),
                more: t('replay.was', { value: format.whole(report.total.recorded.denied) }),
              },
              {
                name: t('usage.spend'),
                value: usd(report.total.replayed.spend_usd),
                more: t('replay.was', { value: usd(report.total.recorded.spend_usd) }),
              },
            ]}
          />
          {(['group', 'model', 'channel'] as const).map((by) => (
            <Table<Row>
              key={by}
              aria-label={t(`usage.dimension.${by}`)}
              size="small"
              rowKey={(it) => it.value ?? ''}
              dataSource={report.by[by]}
              pagination={report.by[by].length > 10 && { pageSize: 10, showSizeChanger: false }}
              scroll={{ x: 'max-content' }}
              columns={[
                {
                  title: t(`usage.dimension.${by}`),
                  dataIndex: 'value',
                  render: (value: string | null) =>
                    !value ? '–' : by === 'model' ? value : <Named of={`${by}s`} id={value} />,
                },
                {
                  title: t('replay.callsBefore'),
                  key: 'c',
                  align: 'right',
                  className: 'num',
                  render: (_, it) => format.whole(it.recorded.calls),
                },
                {
                  title: t('replay.callsAfter'),
                  key: 'd',
                  align: 'right',
                  className: 'num',
                  render: (_, it) => format.whole(it.replayed.calls),
                },
                {
                  title: t('replay.deniedBefore'),
                  key: 'e',
                  align: 'right',
                  className: 'num',
                  render: (_, it) => format.whole(it.recorded.denied),
                },
                {
                  title: t('replay.deniedAfter'),
                  key: 'f',
                  align: 'right',
                  className: 'num',
                  render: (_, it) => format.whole(it.replayed.denied),
                },
                {
                  title: t('replay.difference'),
                  key: 'g',
                  align: 'right',
                  className: 'num',
                  render: (_, it) => usd(it.spend_difference_usd),
                },
              ]}
            />
          ))}
        </div>
      )}
    </Card>
  );
}
