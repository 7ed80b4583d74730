// A secret that is shown once, with what to do with it.

import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Modal, Tabs, Typography, theme } from 'antd';
import { useLayoutEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { may, useMe } from '../app/session';
import { hold } from '../app/unsaved';
import { modelFor, type Owned } from './callable';
import { snippets } from './snippet';

/** With `wrap`, one long word is broken rather than scrolled. */
export function Code({ text, wrap }: { text: string; wrap?: boolean }) {
  const { token } = theme.useToken();
  return (
    <div style={{ position: 'relative' }}>
      <pre
        className={wrap ? 'code code-wrap mono' : 'code mono'}
        tabIndex={0}
        style={{ background: token.colorFillTertiary, color: token.colorText }}
      >
        {text}
      </pre>
      <Typography.Text copyable={{ text }} style={{ position: 'absolute', top: 8, right: 8 }} />
    </div>
  );
}

/** How programs call this gateway with a key, by a model that it may ask for. */
export function Snippets({ secret, of }: { secret: string; of: Owned }) {
  const { t } = useTranslation();
  const all = may(useMe(), 'organizations');
  const { models, group, user, organization } = of;
  const some = useQuery({
    queryKey: ['models', 'callable', models, group, user, organization],
    queryFn: async () => (await modelFor(of, all)) ?? '',
    staleTime: 60_000,
  });
  const called = some.data || t('secret.model');
  return (
    <Tabs
      items={snippets(location.origin, secret, called).map((it) => ({
        key: it.name,
        label: it.name,
        children: <Code text={it.text} />,
      }))}
    />
  );
}

export function SecretOnce(props: { secret: string; title: string; of?: Owned; close: () => void }) {
  const { t } = useTranslation();
  // It is gone with this page: whatever leads away asks first.
  const release = useRef<(() => void) | undefined>(undefined);
  useLayoutEffect(() => {
    release.current = hold(Symbol('shown once'), undefined, 'shown');
    return () => release.current?.();
  }, []);
  return (
    <Modal
      open
      width={720}
      title={props.title}
      mask={{ closable: false }}
      keyboard={false}
      closable={false}
      footer={
        <Button
          type="primary"
          onClick={() => {
            release.current?.();
            props.close();
          }}
        >
          {t('secret.kept')}
        </Button>
      }
    >
      <Alert type="warning" showIcon title={t('secret.once')} style={{ marginBottom: 12 }} />
      <div data-testid="secret">
        <Code text={props.secret} wrap />
      </div>
      {props.of && <Snippets secret={props.secret} of={props.of} />}
    </Modal>
  );
}
