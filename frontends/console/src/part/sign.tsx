// What the pages before the sign-in are made of: the browser's own form, since they are what it loads first.

import { Button, theme } from 'antd';
import { type FormEvent, type InputHTMLAttributes, type ReactNode, useEffect, useId } from 'react';
import { useTranslation } from 'react-i18next';
import { LanguageSwitch } from '../app/language_switch';

export function Sign({ title, children }: { title: string; children: ReactNode }) {
  const { token } = theme.useToken();
  useEffect(() => {
    document.title = `${title} · Sluicegate`;
  }, [title]);
  return (
    <main className="sign" style={{ background: token.colorBgLayout, color: token.colorText }}>
      <div
        className="sign-card"
        style={{ background: token.colorBgContainer, borderColor: token.colorBorderSecondary }}
      >
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
      <Button type="primary" htmlType="submit" block loading={busy}>
        {submit}
      </Button>
    </form>
  );
}

export function SignField({
  label,
  hint,
  ...input
}: { label: string; hint?: string } & InputHTMLAttributes<HTMLInputElement>) {
  const { token } = theme.useToken();
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
        style={{
          background: token.colorBgContainer,
          color: token.colorText,
          borderColor: token.colorTextTertiary,
        }}
      />
      {hint && (
        <small id={`${id}-hint`} style={{ color: token.colorTextSecondary }}>
          {hint}
        </small>
      )}
    </p>
  );
}
