// Limits as rows of a form, and as the API writes them.

import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Form, Input, Select } from 'antd';
import { useTranslation } from 'react-i18next';
import type { Metric } from './format';

export type LimitRow = { metric: Metric; window: string; amount: string; model: string; words: string };

type Amount = string | number;
type Amounts = Amount | Amount[];
type Tree = Record<string, unknown>;

export const METRICS: Metric[] = [
  'spend',
  'total_tokens',
  'input_tokens',
  'output_tokens',
  'requests',
  'concurrency',
];
const WINDOWS = ['minute', 'hour', 'day', 'week', 'month', 'lifetime'];
const ROLLING = ['5h', '24h', '168h'];

/** Rows of what the API shows. Money is written without its unit. */
export function rows(limits: unknown): LimitRow[] {
  const of = (tree: Tree, model: string): LimitRow[] =>
    Object.entries(tree).flatMap(([metric, value]) => {
      if (metric === 'models') {
        return Object.entries(value as Tree).flatMap(([name, inner]) => of(inner as Tree, name));
      }
      const each = (window: string, amounts: Amounts) =>
        [amounts].flat().map((amount) => row(metric, window, amount, model));
      if (metric === 'concurrency') return each('', value as Amounts);
      return Object.entries(value as Record<string, Amounts>).flatMap(([window, it]) => each(window, it));
    });
  return of((limits ?? {}) as Tree, '');
}

function row(metric: string, window: string, amount: Amount, model: string): LimitRow {
  const [first = '', ...words] = String(amount).split(' ');
  const rest = words.filter((word) => word !== 'USD').join(' ');
  return { metric: metric as Metric, window, amount: first, model, words: rest };
}

/** Rows of the limits that are a member's own: without those that their group gives. */
export function ownRows(limits: unknown, given: unknown): LimitRow[] {
  const theirs = new Set(rows(given).map((it) => JSON.stringify(it)));
  return rows(limits).filter((it) => !theirs.has(JSON.stringify(it)));
}

/** An amount without what people set between its digits: `1,000` is a thousand. */
export function plainAmount(text: string): string {
  const plain = text.trim().replaceAll(String.fromCharCode(0xff0c), ',');
  return /^\d{1,3}(,\d{3})+(\.\d+)?[a-z]?$/i.test(plain) ? plain.replaceAll(',', '') : plain;
}

const AMOUNT = /^\d+(\.\d+)?\s*[kmbgt]?$/i;

/** What keeps rows from being limits: the text that says so, and its parts. */
export function fault(all: LimitRow[]): { text: string; amount?: string } | null {
  const seen = new Set<string>();
  for (const it of all) {
    const amount = plainAmount(it.amount);
    if (!amount) return { text: 'limit.needsAmount' };
    if (!AMOUNT.test(amount)) return { text: 'limit.notAmount', amount: it.amount.trim() };
    const window = it.metric === 'concurrency' ? '' : it.window || 'month';
    const kind = [it.metric, window, it.model.trim(), it.words.trim()].join('\n');
    if (seen.has(kind)) return { text: 'limit.twice' };
    seen.add(kind);
  }
  return null;
}

/** Whether a limit lets nothing through. */
export function refusesAll(all: LimitRow[] = []): boolean {
  return all.some((it) => Number.parseFloat(plainAmount(it.amount)) === 0);
}

/** What the API takes. */
export function tree(all: LimitRow[]): Tree {
  const out: Tree = {};
  for (const it of all) {
    const number = plainAmount(it.amount);
    if (!number) continue;
    let at = out;
    if (it.model.trim()) {
      const models = inner(out, 'models');
      at = inner(models, it.model.trim());
    }
    const amount = [number, it.metric === 'spend' ? 'USD' : '', it.words.trim()].filter(Boolean).join(' ');
    if (it.metric === 'concurrency') beside(at, 'concurrency', amount);
    else beside(inner(at, it.metric), it.window || 'month', amount);
  }
  return out;
}

/** One amount by itself; several in one window as a list. */
function beside(tree: Tree, name: string, amount: string) {
  tree[name] = name in tree ? [tree[name], amount].flat() : amount;
}

function inner(tree: Tree, name: string): Tree {
  tree[name] ??= {};
  return tree[name] as Tree;
}

/** The field of a form, with what it takes. Nothing that was entered is left out in silence. */
export function Limits(props: { label: string; hint: string }) {
  const { t } = useTranslation();
  return (
    <Form.Item
      name="limits"
      label={props.label}
      extra={props.hint}
      validateTrigger="onSubmit"
      rules={[
        {
          validator: (_, all: LimitRow[] = []) => {
            const found = fault(all);
            return found
              ? Promise.reject(new Error(t(found.text, { amount: found.amount })))
              : Promise.resolve();
          },
        },
      ]}
    >
      <LimitForm />
    </Form.Item>
  );
}

/** What is asked before limits are sent that let nothing through. */
export function useLimitDoubt(): (values: { limits?: LimitRow[] }) => string | undefined {
  const { t } = useTranslation();
  return ({ limits }) => (refusesAll(limits) ? t('limit.zero') : undefined);
}

/** `value` and `onChange` are the form's. */
function LimitForm(props: { value?: LimitRow[]; onChange?: (rows: LimitRow[]) => void; id?: string }) {
  const { t } = useTranslation();
  const { status } = Form.Item.useStatus();
  const wrong = (it: LimitRow) => status === 'error' && !AMOUNT.test(plainAmount(it.amount));
  const all = props.value ?? [];
  const set = (index: number, part: Partial<LimitRow>) =>
    props.onChange?.(all.map((it, at) => (at === index ? { ...it, ...part } : it)));
  return (
    <div id={props.id} className="stack" style={{ gap: 8 }}>
      {all.map((it, index) => (
        <fieldset key={index} className="row" style={{ border: 0, margin: 0, padding: 0 }}>
          <legend style={{ position: 'absolute', left: -9999 }}>
            {t('limit.one', { number: index + 1 })}
          </legend>
          <Select
            aria-label={t('limit.what')}
            style={{ width: 140 }}
            value={it.metric}
            onChange={(metric) => set(index, { metric, window: it.window || 'month' })}
            options={METRICS.map((value) => ({ value, label: t(`limit.metric.${value}`) }))}
          />
          <Input
            aria-label={t('limit.amount')}
            placeholder={it.metric === 'spend' ? '100' : '2M'}
            style={{ width: 120 }}
            value={it.amount}
            status={wrong(it) ? 'error' : undefined}
            aria-invalid={wrong(it) || undefined}
            suffix={it.metric === 'spend' ? 'USD' : undefined}
            onChange={(event) => set(index, { amount: event.target.value })}
          />
          {it.metric !== 'concurrency' && (
            <Select
              aria-label={t('limit.per')}
              style={{ width: 140 }}
              value={it.window}
              onChange={(window) => set(index, { window })}
              options={[...new Set([...WINDOWS, ...ROLLING, it.window])].map((value) => ({
                value,
                label: WINDOWS.includes(value)
                  ? t(`limit.window.${value}`)
                  : t('limit.rolling', { length: value }),
              }))}
            />
          )}
          <Input
            aria-label={t('limit.model')}
            placeholder={t('limit.everyModel')}
            style={{ width: 130 }}
            value={it.model}
            onChange={(event) => set(index, { model: event.target.value })}
          />
          <Select
            aria-label={t('limit.kind')}
            style={{ width: 130 }}
            value={it.words}
            onChange={(words) => set(index, { words })}
            options={[...new Set(['', 'strict', 'corrected', 'soft', 'clamp', 'downgrade', it.words])].map(
              (value) => ({
                value,
                label: value === '' ? t('limit.default') : t(`limit.word.${value}`, value),
              }),
            )}
          />
          <Button
            aria-label={t('limit.remove')}
            icon={<DeleteOutlined />}
            onClick={() => props.onChange?.(all.filter((_, at) => at !== index))}
          />
        </fieldset>
      ))}
      <Button
        icon={<PlusOutlined />}
        style={{ alignSelf: 'flex-start' }}
        onClick={() =>
          props.onChange?.([...all, { metric: 'spend', window: 'month', amount: '', model: '', words: '' }])
        }
      >
        {t('limit.add')}
      </Button>
    </div>
  );
}
