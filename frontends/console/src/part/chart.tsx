// A chart over time. What it shows stands in a table behind it, for who can't see it or wants the figures.

import { type PointerEvent, useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { usePreference } from '../app/preference';
import { type Easel, easel } from './easel';
import { type Formats, useFormat } from './format';
import type { Picture, Series, Size, Touch, Unit } from './picture';
import { Push } from './plain';

export type { Series } from './picture';

type Props = {
  label: string;
  times: number[];
  unit: Unit;
  series: Series[];
  height?: number;
};

function say(format: Formats, kind: Series['kind'], value: number): string {
  if (kind === 'money') return format.money(value);
  return kind === 'duration' ? format.duration(value) : format.short(value);
}

export default function Chart({ label, times, unit, series, height = 280 }: Props) {
  const { t } = useTranslation();
  const { dark, value: preference } = usePreference();
  const format = useFormat();
  const [table, setTable] = useState(false);
  const name = (at: number) => (unit === 'hour' ? format.minute(at) : format.date(at));
  const { language, zone, currency, rate } = preference;
  const picture = useMemo<Picture>(
    () => ({
      ...{ times, unit, series, dark },
      still: matchMedia('(prefers-reduced-motion: reduce)').matches,
      format: [language, zone, currency, rate],
    }),
    [times, unit, series, dark, language, zone, currency, rate],
  );

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
        <Drawn key="chart" label={t('chart.label', { name: label })} height={height} picture={picture} />
      )}
    </div>
  );
}

function Drawn({ label, height, picture }: { label: string; height: number; picture: Picture }) {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<Easel>(null);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    // A canvas is given away once: each easel has its own.
    const canvas = document.createElement('canvas');
    canvas.style.cssText = 'display:block;width:100%;height:100%';
    element.append(canvas);
    const size = (): Size => ({
      width: element.clientWidth,
      height: element.clientHeight,
      devicePixelRatio: window.devicePixelRatio,
    });
    const made = easel(canvas, size());
    drawn.current = made;
    const watch = new ResizeObserver(() => made.resize(size()));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.dispose();
      canvas.remove();
      drawn.current = null;
    };
  }, []);
  useEffect(() => drawn.current?.draw(picture), [picture]);
  const touch = (name: Touch['name']) => (event: PointerEvent) => {
    const from = event.currentTarget.getBoundingClientRect();
    drawn.current?.touch({ name, x: event.clientX - from.x, y: event.clientY - from.y });
  };
  return (
    <div
      ref={place}
      role="img"
      aria-label={label}
      style={{ height, width: '100%' }}
      onPointerMove={touch('mousemove')}
      onPointerLeave={touch('mouseout')}
      onPointerUp={touch('click')}
    />
  );
}
