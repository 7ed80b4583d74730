// The first start: the first super administrator, made by who holds the administrator's key.

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { Navigate, useNavigate } from 'react-router';
import { api, SESSION, take, wrongProof } from '../api/client';
import { Failure } from '../part/failure';
import { NewPassword, Sign, SignField, SignForm } from '../part/sign';

type Values = { master: string; email: string; password: string };

export default function Setup() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const setup = useQuery({ queryKey: ['setup'], queryFn: () => take(api.GET('/api/v1/setup')) });
  const make = useMutation({
    mutationFn: async ({ master, email, password }: Values) => {
      const headers = { authorization: `Bearer ${master.trim()}` };
      await take(api.POST('/api/v1/setup', { body: { email, password }, headers }));
      await take(api.POST('/api/v1/session', { body: { login: email, password } }));
      client.setQueryData(['setup'], { needed: false });
      client.setQueryData(SESSION, await take(api.GET('/api/v1/session')));
    },
    onSuccess: () => navigate('/channels?create=1&first=1'),
  });
  if (setup.data && !setup.data.needed && !make.isPending && !make.isSuccess)
    return <Navigate to="/login" replace />;
  return (
    <Sign title={t('setup.title')}>
      <p>{t('setup.what')}</p>
      <Failure
        error={make.error ?? setup.error}
        meaning={wrongProof(make.error) ? t('setup.wrong') : undefined}
      />
      <SignForm
        submit={t('setup.submit')}
        busy={make.isPending}
        send={({ master = '', email = '', password = '' }) =>
          make.mutate({ master, email: email.trim(), password })
        }
      >
        <SignField
          name="master"
          label={t('setup.master')}
          hint={t('setup.masterHint')}
          type="password"
          autoFocus
          autoComplete="off"
        />
        <SignField name="email" label={t('setup.email')} type="email" autoComplete="username" />
        <NewPassword label={t('setup.password')} />
      </SignForm>
      <p>{t('setup.next')}</p>
    </Sign>
  );
}
