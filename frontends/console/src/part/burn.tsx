// A limit over time: what was used of it, the pace at which it is used, and when it runs out at that.

import { useTranslation } from 'react-i18next';
import { type Budget, course } from './burn_data';
import { useFormat } from './format';

const WIDE = 240;

/** How a limit was used up so far, and where that leads: a line, dashed where it is ahead, below that of the limit. */
export function Burn({ budget, height = 40 }: { budget: Budget; height?: number }) {
  const { t } = useTranslation();
  const format = useFormat();
  const now = Date.now();
  const drawn = course(budget, now);
  if (!drawn) return null;
  const line = (points: { x: number; y: number }[]) =>
    points.map((it) => `${(it.x * WIDE).toFixed(1)},${((1 - it.y) * height).toFixed(1)}`).join(' ');
  const full = (1 - drawn.max) * height;
  const spent = budget.settled + budget.reserved + budget.held;
  const say = (n: number) => format.amount(budget.metric, n);
  return (
    <svg
      className="burn"
      viewBox={`0 0 ${WIDE} ${height}`}
      preserveAspectRatio="none"
      style={{ height }}
      role="img"
      aria-label={t('limit.course', { used: say(spent), max: say(budget.max) })}
    >
      <line className="burn-max" x1={0} x2={WIDE} y1={full} y2={full} />
      <polygon
        className="burn-area"
        points={`0,${height} ${line(drawn.used)} ${((drawn.used.at(-1)?.x ?? 0) * WIDE).toFixed(1)},${height}`}
      />
      <polyline className="burn-used" points={line(drawn.used)} />
      {drawn.ahead.length > 0 && <polyline className="burn-ahead" points={line(drawn.ahead)} />}
    </svg>
  );
}

/** The same in words: what is used a day, and what that comes to. */
export function Pace({ budget }: { budget: Budget }) {
  const { t } = useTranslation();
  const format = useFormat();
  const ahead = budget.forecast;
  if (!ahead) return null;
  const out = ahead.runs_out_at;
  const parts = [t('limit.pace', { amount: format.amount(budget.metric, ahead.per_day) })];
  if (ahead.used_at_end_ppm != null)
    parts.push(t('limit.atEnd', { share: format.percent(ahead.used_at_end_ppm / 1e6) }));
  if (out == null) return <span>{parts.join(' · ')}</span>;
  const over = out <= Date.now();
  return (
    <span>
      {parts.join(' · ')}
      {' · '}
      <strong className={over ? 'mark-bad' : 'mark-warn'} title={format.time(out)}>
        {over ? t('limit.isOut') : t('limit.runsOut', { when: format.ago(out) })}
      </strong>
    </span>
  );
}
