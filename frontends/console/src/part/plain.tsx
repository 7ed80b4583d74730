// The few pieces that the first page is made of, in plain elements: what stands there before the component library is loaded, and
// looks the same beside it.

import type { ButtonHTMLAttributes, ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

export type Tone = 'good' | 'warn' | 'bad' | 'main' | undefined;

export function Tag({ tone, title, children }: { tone?: Tone; title?: string; children: ReactNode }) {
  return (
    <span className={tone ? `tag tag-${tone}` : 'tag'} title={title}>
      {children}
    </span>
  );
}

export function Panel(props: { title?: ReactNode; extra?: ReactNode; small?: boolean; children: ReactNode }) {
  return (
    <section className={props.small ? 'panel panel-small' : 'panel'}>
      {props.title && (
        <div className="panel-head">
          <h2>{props.title}</h2>
          {props.extra}
        </div>
      )}
      <div className="panel-body">{props.children}</div>
    </section>
  );
}

type PlainButton = ButtonHTMLAttributes<HTMLButtonElement> & {
  look?: 'main' | 'text' | 'link' | 'wide';
  busy?: boolean;
};

export function Push({ look, busy, children, ...rest }: PlainButton) {
  return (
    <button
      type="button"
      {...rest}
      className={`push${look ? ` push-${look}` : ''}`}
      disabled={busy || rest.disabled}
    >
      {busy && <Spinner />}
      {children}
    </button>
  );
}

export function Spinner() {
  return <span className="spinner" aria-hidden="true" />;
}

/** While something is being read. */
export function Waiting({ tall }: { tall?: boolean }) {
  const { t } = useTranslation();
  return (
    <div className={tall ? 'sign waiting' : 'waiting'} role="status">
      <Spinner />
      <span className="unseen">{t('frame.reading')}</span>
    </div>
  );
}

export function Nothing({ children }: { children: ReactNode }) {
  return <p className="nothing">{children}</p>;
}

/** One of a few, by buttons. */
export function Choice<T extends string>(props: {
  label: string;
  value: T;
  options: { value: T; label: string }[];
  onChange: (value: T) => void;
}) {
  return (
    <fieldset className="choice">
      <legend className="unseen">{props.label}</legend>
      {props.options.map((it) => (
        <button
          key={it.value}
          type="button"
          aria-pressed={it.value === props.value}
          onClick={() => props.onChange(it.value)}
        >
          {it.label}
        </button>
      ))}
    </fieldset>
  );
}

/** What a whole page says where there is nothing else to show. */
export function Verdict(props: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="verdict">
      <h1 className="title">{props.title}</h1>
      {props.children && <p>{props.children}</p>}
      {props.action}
    </div>
  );
}
