// What the pages before the sign-in are made of: the browser's own form, since they are what it loads first.

import {
  type AnchorHTMLAttributes,
  type FormEvent,
  type InputHTMLAttributes,
  type ReactNode,
  useEffect,
  useId,
} from 'react';
import { useTranslation } from 'react-i18next';
import type { WaysIn } from '../api/client';
import { LanguageSwitch } from '../app/language_switch';
import { Push } from './plain';

export function Sign({ title, children }: { title: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Sluicegate`;
  }, [title]);
  return (
    <main className="sign">
      <div className="sign-card">
        <h1>{title}</h1>
        {children}
      </div>
      <LanguageSwitch />
    </main>
  );
}

type Props = {
  submit: string;
  busy: boolean;
  send: (values: Record<string, string>) => void;
  children: ReactNode;
};

export function SignForm({ submit, busy, send, children }: Props) {
  const { t } = useTranslation();
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const values = Object.fromEntries(
      [...new FormData(form)].map(([name, value]) => [name, typeof value === 'string' ? value : '']),
    );
    const again = form.elements.namedItem('again');
    if (again instanceof HTMLInputElement) {
      again.setCustomValidity(values.again === values.password ? '' : t('form.differs'));
      if (!form.reportValidity()) return;
    }
    send(values);
  };
  return (
    <form onSubmit={onSubmit}>
      {children}
      <Push look="main" type="submit" busy={busy} style={{ width: '100%' }}>
        {submit}
      </Push>
    </form>
  );
}

export function SignField({
  label,
  hint,
  ...input
}: { label: string; hint?: string } & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  return (
    <p>
      <label htmlFor={id}>{label}</label>
      <input
        required
        spellCheck={false}
        {...input}
        id={id}
        aria-describedby={hint && `${id}-hint`}
        // What was wrong with it is forgotten as soon as it changes.
        onInput={(event) => event.currentTarget.setCustomValidity('')}
      />
      {hint && (
        <small id={`${id}-hint`} className="quiet">
          {hint}
        </small>
      )}
    </p>
  );
}

/** A password that is chosen, and the same again. */
export function NewPassword({ label, autoFocus }: { label: string; autoFocus?: boolean }) {
  const { t } = useTranslation();
  return (
    <>
      <SignField
        name="password"
        label={label}
        hint={t('login.strong')}
        type="password"
        minLength={12}
        autoFocus={autoFocus}
        autoComplete="new-password"
      />
      <SignField name="again" label={t('setup.again')} type="password" autoComplete="new-password" />
    </>
  );
}

type Link = Pick<AnchorHTMLAttributes<HTMLAnchorElement>, 'target' | 'rel'>;

/** The ways in by somebody else's page, which leads back `to` one of ours. */
export function Providers({ ways, to, ...link }: { ways: WaysIn | undefined; to: string } & Link) {
  const { t } = useTranslation();
  return ways?.providers.map((it) => (
    <a
      key={it.id}
      className="push"
      {...link}
      style={{ width: '100%', marginBottom: 12 }}
      href={`/api/v1/session/oidc/${encodeURIComponent(it.id)}?return_to=${encodeURIComponent(to)}`}
    >
      {t('login.with', { name: it.name })}
    </a>
  ));
}
