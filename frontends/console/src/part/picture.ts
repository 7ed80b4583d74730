// What a chart shows, as the chart library is told it. Without the page: it is drawn in a worker where the browser can, so that no
// press waits for a picture.

import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendScrollComponent, TooltipComponent } from 'echarts/components';
import { type EChartsType, init, setPlatformAPI, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { colours, FONT } from '../app/colour';
import { type Formats, formats } from './format_plain';

use([BarChart, LineChart, GridComponent, LegendScrollComponent, TooltipComponent, CanvasRenderer]);

// Texts are measured with a canvas, which a worker makes otherwise than a page.
if (typeof document === 'undefined') {
  setPlatformAPI({ createCanvas: () => new OffscreenCanvas(1, 1) as unknown as HTMLCanvasElement });
}

export type Series = {
  name: string;
  kind: 'money' | 'number' | 'duration';
  shape: 'bar' | 'line';
  stack?: boolean;
  values: (number | null)[];
};

export type Unit = 'hour' | 'day' | 'week' | 'month';

/** All that a chart is drawn from. */
export type Picture = {
  times: number[];
  unit: Unit;
  series: Series[];
  dark: boolean;
  still: boolean;
  format: Parameters<typeof formats>;
};

export type Size = { width: number; height: number; devicePixelRatio: number };

/** What a pointer does at a place of the picture. */
export type Touch = { name: 'mousemove' | 'click' | 'mouseout'; x: number; y: number };

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

/** A chart on a canvas of the page, or of a worker. */
export class Painter {
  private readonly chart: EChartsType;

  constructor(canvas: HTMLCanvasElement | OffscreenCanvas, size: Size) {
    // The library needs no element, only what it draws on.
    this.chart = init(canvas as unknown as HTMLElement, null, size);
  }

  draw(picture: Picture): void {
    this.chart.setOption(option(picture), { notMerge: true });
  }

  resize({ width, height }: Size): void {
    this.chart.resize({ width, height });
  }

  /** What the library would hear of by itself if it stood in the page. */
  touch({ name, x, y }: Touch): void {
    const event = {
      zrX: x,
      zrY: y,
      offsetX: x,
      offsetY: y,
      which: 1,
      preventDefault() {},
      stopPropagation() {},
    };
    const { handler } = this.chart.getZr();
    if (name === 'click') {
      for (const part of ['mousedown', 'mouseup'] as const) handler.dispatch(part, event);
    }
    handler.dispatch(name, event);
  }

  dispose(): void {
    this.chart.dispose();
  }
}

function say(format: Formats, kind: Series['kind'], value: number): string {
  if (kind === 'money') return format.money(value);
  return kind === 'duration' ? format.duration(value) : format.short(value);
}

function option({ times, unit, series, dark, still, format: person }: Picture) {
  const format = formats(...person);
  const its = colours(dark);
  const name = (at: number) => (unit === 'hour' ? format.minute(at) : format.date(at));
  const kinds = [...new Set(series.length > 0 ? series.map((it) => it.kind) : (['number'] as const))];
  return {
    animation: !still,
    backgroundColor: 'transparent',
    color: COLOURS,
    textStyle: { fontFamily: FONT },
    grid: { left: 8, right: 8, top: 40, bottom: 8, outerBoundsMode: 'same' },
    // In one line, however many there are: the others are behind its arrows.
    legend: {
      type: 'scroll',
      top: 0,
      textStyle: { color: its.text, width: 220, overflow: 'truncate' },
      inactiveColor: its.edge,
      pageTextStyle: { color: its.quiet },
      pageIconColor: its.link,
      pageIconInactiveColor: its.line,
    },
    // Drawn as text: names are never markup, and no style is written into the page.
    tooltip: {
      trigger: 'axis',
      renderMode: 'richText',
      backgroundColor: its.raised,
      borderColor: its.edge,
      textStyle: { color: its.text, fontFamily: FONT },
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
    xAxis: {
      type: 'category',
      data: times.map(name),
      axisLabel: { color: its.quiet },
      axisLine: { lineStyle: { color: its.edge } },
    },
    yAxis: kinds.map((kind, index) => ({
      type: 'value',
      // Steps that are finer than what is written of an amount would all be called the same.
      minInterval: kind === 'number' ? 1 : kind === 'money' ? 1000 : undefined,
      // Nothing at all would be shown between nothing and nothing.
      max: series.every((it) => it.kind !== kind || it.values.every((value) => !value))
        ? kind === 'money'
          ? 1e9
          : 1
        : undefined,
      position: index === 0 ? 'left' : 'right',
      axisLabel: { color: its.quiet, formatter: (value: number) => say(format, kind, value) },
      splitLine: { show: index === 0, lineStyle: { color: its.line } },
    })),
    series: series.map((it) => ({
      name: it.name,
      type: it.shape,
      stack: it.stack ? 'all' : undefined,
      areaStyle: it.stack && it.shape === 'line' ? { opacity: 0.35 } : undefined,
      yAxisIndex: kinds.indexOf(it.kind),
      symbol: 'circle',
      symbolSize: 5,
      showSymbol: times.length < 40,
      barMaxWidth: 36,
      data: it.values,
    })),
  };
}
