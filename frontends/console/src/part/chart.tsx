// A chart over time. What it shows stands in a table behind it, for who can't see it or wants the figures.

import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendPlainComponent, TooltipComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { colours, FONT } from '../app/colour';
import { usePreference } from '../app/preference';
import { type Formats, useFormat } from './format';
import { Push } from './plain';

use([BarChart, LineChart, GridComponent, LegendPlainComponent, TooltipComponent, CanvasRenderer]);

export type Series = {
  name: string;
  kind: 'money' | 'number' | 'duration';
  shape: 'bar' | 'line';
  stack?: boolean;
  values: (number | null)[];
};

const COLOURS = [
  '#1f77d0',
  '#d9730d',
  '#2e9e6b',
  '#a259d9',
  '#c8375d',
  '#7a8b16',
  '#148f9e',
  '#8a6d3b',
  '#5c6bc0',
  '#d24fa0',
  '#6b7280',
];

type Props = {
  label: string;
  times: number[];
  unit: 'hour' | 'day' | 'week' | 'month';
  series: Series[];
  height?: number;
};

function say(format: Formats, kind: Series['kind'], value: number): string {
  if (kind === 'money') return format.money(value);
  return kind === 'duration' ? format.duration(value) : format.short(value);
}

export default function Chart({ label, times, unit, series, height = 280 }: Props) {
  const { t } = useTranslation();
  const { dark } = usePreference();
  const its = colours(dark);
  const format = useFormat();
  const [table, setTable] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  const name = (at: number) => (unit === 'hour' ? format.minute(at) : format.day(at));

  const drawn = useRef<ReturnType<typeof init>>(null);
  useEffect(() => {
    const element = place.current;
    if (table || !element) return;
    const watch = new ResizeObserver(() => drawn.current?.resize());
    watch.observe(element);
    return () => {
      watch.disconnect();
      drawn.current?.dispose();
      drawn.current = null;
    };
  }, [table]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `name` follows from what is named
  useEffect(() => {
    const element = place.current;
    if (table || !element) return;
    const draw = () => {
      const look = dark ? 'dark' : 'default';
      drawn.current?.setTheme(look);
      drawn.current ??= init(element, look);
      drawn.current.setOption(option(), { notMerge: true });
    };
    // After whatever was pressed is answered: a picture may be a moment later.
    const soon = setTimeout(draw);
    return () => clearTimeout(soon);
  }, [times, series, unit, dark, its, format, table]);

  const option = () => {
    const kinds = [...new Set(series.length > 0 ? series.map((it) => it.kind) : (['number'] as const))];
    return {
      animation: !matchMedia('(prefers-reduced-motion: reduce)').matches,
      backgroundColor: 'transparent',
      color: COLOURS,
      textStyle: { fontFamily: FONT },
      grid: { left: 8, right: 8, top: 40, bottom: 8, outerBoundsMode: 'same' },
      legend: { type: 'plain', top: 0, textStyle: { color: its.text } },
      // Drawn as text: names are never markup, and no style is written into the page.
      tooltip: {
        trigger: 'axis',
        renderMode: 'richText',
        backgroundColor: its.raised,
        textStyle: { color: its.text },
        formatter: (
          points: { dataIndex: number; seriesIndex: number; seriesName: string; value: number | null }[],
        ) =>
          [
            name(times[points[0]?.dataIndex ?? 0] ?? 0),
            ...points.map((it) => {
              const kind = series[it.seriesIndex]?.kind ?? 'number';
              return `${it.seriesName}: ${it.value == null ? '–' : say(format, kind, it.value)}`;
            }),
          ].join('\n'),
      },
      xAxis: { type: 'category', data: times.map(name), axisLabel: { color: its.quiet } },
      yAxis: kinds.map((kind, index) => ({
        type: 'value',
        minInterval: kind === 'number' ? 1 : undefined,
        // Nothing at all would be shown between nothing and nothing.
        max: series.every((it) => it.kind !== kind || it.values.every((value) => !value))
          ? kind === 'money'
            ? 1e9
            : 1
          : undefined,
        position: index === 0 ? 'left' : 'right',
        axisLabel: {
          color: its.quiet,
          formatter: (value: number) => say(format, kind, value),
        },
        splitLine: { show: index === 0, lineStyle: { color: its.line } },
      })),
      series: series.map((it) => ({
        name: it.name,
        type: it.shape,
        stack: it.stack ? 'all' : undefined,
        areaStyle: it.stack && it.shape === 'line' ? { opacity: 0.35 } : undefined,
        yAxisIndex: kinds.indexOf(it.kind),
        showSymbol: times.length < 40,
        barMaxWidth: 36,
        data: it.values,
      })),
    };
  };

  return (
    <div>
      <div style={{ textAlign: 'right' }}>
        <Push look="text" onClick={() => setTable(!table)}>
          {t(table ? 'chart.chart' : 'chart.table')}
        </Push>
      </div>
      {table ? (
        // Another element than the chart's, which is emptied as the chart goes.
        <div key="table" style={{ overflow: 'auto', maxHeight: height * 1.5 }}>
          <table className="num" style={{ width: '100%', borderCollapse: 'collapse' }}>
            <caption style={{ position: 'absolute', left: -9999 }}>{label}</caption>
            <thead>
              <tr>
                <th style={{ textAlign: 'left' }}>{t('chart.time')}</th>
                {series.map((it) => (
                  <th key={it.name} style={{ textAlign: 'right', padding: '4px 8px' }}>
                    {it.name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times.map((at, index) => (
                <tr key={at}>
                  <th style={{ textAlign: 'left', fontWeight: 400 }}>{name(at)}</th>
                  {series.map((it) => {
                    const value = it.values[index];
                    return (
                      <td key={it.name} style={{ textAlign: 'right', padding: '4px 8px' }}>
                        {value == null ? '–' : say(format, it.kind, value)}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <div
          key="chart"
          ref={place}
          role="img"
          aria-label={t('chart.label', { name: label })}
          style={{ height, width: '100%' }}
        />
      )}
    </div>
  );
}
