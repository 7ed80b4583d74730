// A session that ended while something was typed: one signs in above it, and goes on.

import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Modal } from 'antd';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, SESSION, take, wrongProof } from '../api/client';
import { Failure } from '../part/failure';
import { Push } from '../part/plain';
import { Providers, SignField, SignForm } from '../part/sign';
import { useMe, useWaysIn } from './session';
import { giveUp, setOver } from './unsaved';

export function SignAgain() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const me = useMe();
  const [stage, setStage] = useState<'password' | 'second_step'>('password');
  const ways = useWaysIn();
  const leave = () => {
    giveUp();
    setOver(false);
    client.setQueryData(SESSION, null);
  };
  const goOn = async () => {
    const signed = await take(api.GET('/api/v1/session'));
    if (signed.session.stage === 'second_step') return setStage('second_step');
    if (signed.session.stage !== 'done') return leave();
    if (signed.me?.user !== me.user) {
      // Somebody else: what the other one saw and typed is none of theirs.
      giveUp();
      location.assign('/overview');
      return;
    }
    client.setQueryData(SESSION, signed);
    setOver(false);
    await client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== SESSION[0] });
  };
  const step = useMutation({
    mutationFn: async (values: Record<string, string>) => {
      if (stage === 'second_step')
        await take(api.POST('/api/v1/session/code', { body: { code: (values.code ?? '').trim() } }));
      else {
        const body: Schemas['SignIn'] = {
          login: (values.login ?? '').trim(),
          password: values.password ?? '',
        };
        await take(api.POST('/api/v1/session', { body }));
      }
      await goOn();
    },
  });
  // Whoever signs in with another page's help comes back to this one.
  // biome-ignore lint/correctness/useExhaustiveDependencies: it looks once for each return
  useEffect(() => {
    const look = () => void goOn().catch(() => undefined);
    addEventListener('focus', look);
    return () => removeEventListener('focus', look);
  }, []);
  return (
    <Modal
      open
      closable={false}
      keyboard={false}
      mask={{ closable: false }}
      zIndex={2000}
      title={t('again.title')}
      footer={null}
    >
      <div className="sign-fields">
        <p>{t('again.hint')}</p>
        <Failure error={step.error} meaning={wrongProof(step.error) ? t('login.wrong') : undefined} />
        {stage === 'password' && (
          <Providers ways={ways.data} to="/account" target="_blank" rel="noreferrer" />
        )}
        {(stage === 'second_step' || ways.data?.password !== false) && (
          <SignForm key={stage} submit={t('login.submit')} busy={step.isPending} send={step.mutate}>
            {stage === 'second_step' ? (
              <SignField name="code" label={t('login.code')} autoFocus autoComplete="one-time-code" />
            ) : (
              <>
                <SignField
                  name="login"
                  label={t('login.login')}
                  defaultValue={me.user ?? ''}
                  autoComplete="username"
                />
                <SignField
                  name="password"
                  label={t('login.password')}
                  type="password"
                  autoFocus
                  autoComplete="current-password"
                />
              </>
            )}
          </SignForm>
        )}
        <p style={{ margin: '16px 0 0' }}>
          <Push look="link" onClick={leave}>
            {t('again.leave')}
          </Push>
        </p>
      </div>
    </Modal>
  );
}
