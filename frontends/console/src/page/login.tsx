// Signing in: password, second step, and a new password where an administrator has given the old one; registering, where anybody may.

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, Navigate, useLocation, useSearchParams } from 'react-router';
import { ApiError, api, type Schemas, SESSION, take, wrongProof } from '../api/client';
import { inside } from '../app/inside';
import { useSession, useWaysIn } from '../app/session';
import { Failure } from '../part/failure';
import { Push } from '../part/plain';
import { NewPassword, Providers, Sign, SignField, SignForm } from '../part/sign';

type Signed = Schemas['Signed'];

export default function Login() {
  const { t } = useTranslation();
  const [query] = useSearchParams();
  const { data: signed } = useSession();
  // What stands behind the # is sent to no server, and so in no log.
  const invitation = new URLSearchParams(useLocation().hash.slice(1)).get('invitation');
  const setup = useQuery({ queryKey: ['setup'], queryFn: () => take(api.GET('/api/v1/setup')) });
  if (setup.data?.needed && !signed) return <Navigate to="/setup" replace />;
  if (signed?.session.stage === 'done') return <Navigate to={inside(query.get('next'))} replace />;
  const stage = signed?.session.stage;
  const registers = !stage && query.has('register');
  const step = invitation && !stage ? 'invited' : registers ? 'register' : (stage ?? 'password');
  return (
    <Sign title={t(`login.title.${step}`)}>
      {stage === 'second_step' ? (
        <Code />
      ) : stage === 'change_password' ? (
        <Change />
      ) : invitation ? (
        <Invited invitation={invitation} />
      ) : (
        <FirstStep registers={registers} />
      )}
      {stage && (
        <p>
          <Leave />
        </p>
      )}
    </Sign>
  );
}

/** A step of signing in: its answer is the session as it then is. */
function useStep<T>(step: (values: T) => Promise<Signed>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: step,
    onSuccess: async (signed) => {
      // The answer of a step doesn't say who is signed in; the session does.
      const session = signed.session.stage === 'done' ? await take(api.GET('/api/v1/session')) : signed;
      // Where a session ran out, what its user saw is no business of whoever signs in next.
      client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== SESSION[0] });
      client.setQueryData(SESSION, session);
    },
  });
}

function FirstStep({ registers }: { registers: boolean }) {
  const { t } = useTranslation();
  const [query] = useSearchParams();
  const ways = useWaysIn();
  // Where nobody registers, its address is that of the sign-in.
  if (registers && ways.data && !ways.data.registration) return <Navigate to={first(query, false)} replace />;
  if (registers) return ways.data ? <Register /> : <Failure error={ways.error} />;
  return (
    <>
      <Through error={query.get('error')} />
      <Providers ways={ways.data} to={inside(query.get('next'))} />
      {ways.data?.password !== false && <Password />}
      {ways.data?.registration && (
        <p style={{ margin: '8px 0 0' }}>
          <Link to={first(query, true)}>{t('login.register')}</Link>
        </p>
      )}
    </>
  );
}

/** What went wrong on the way through a provider, which leads back here. */
function Through({ error }: { error: string | null }) {
  const { t } = useTranslation();
  if (!error) return null;
  return (
    <div className="notice notice-bad" role="alert">
      {t(`login.through.${error.replace(/[^a-z_]/g, '')}`, t('login.through.other'))}
    </div>
  );
}

/** Where the first step is, or the form to register, on the way to the same page. */
function first(query: URLSearchParams, registers: boolean): string {
  const next = query.get('next');
  const words = new URLSearchParams({
    ...(registers && { register: '1' }),
    ...(next && { next }),
  }).toString();
  return words ? `/login?${words}` : '/login';
}

/** Somebody who was invited sets their own password, and is signed in. */
function Invited({ invitation }: { invitation: string }) {
  const { t } = useTranslation();
  const step = useStep((password: string) =>
    take(api.POST('/api/v1/session/invitation', { body: { invitation, password } })),
  );
  const over = step.error instanceof ApiError && step.error.status === 403;
  return (
    <>
      <p>{t('login.invitedHint')}</p>
      <Failure error={step.error} meaning={over ? t('login.over') : undefined} />
      <SignForm
        submit={t('login.continue')}
        busy={step.isPending}
        send={({ password = '' }) => step.mutate(password)}
      >
        <NewPassword label={t('login.new')} autoFocus />
      </SignForm>
      <p style={{ margin: '16px 0 0' }}>
        <Link to="/login">{t('login.registered')}</Link>
      </p>
    </>
  );
}

/** Somebody makes a user of themselves, and is signed in. */
function Register() {
  const { t } = useTranslation();
  const [query] = useSearchParams();
  const step = useStep((body: Schemas['Registration']) =>
    take(api.POST('/api/v1/session/registration', { body })),
  );
  const status = step.error instanceof ApiError ? step.error.status : 0;
  const meaning = status === 403 ? t('login.refused') : status === 409 ? t('login.taken') : undefined;
  return (
    <>
      <p>{t('login.registerHint')}</p>
      <Failure error={step.error} meaning={meaning} />
      <SignForm
        submit={t('login.registerSubmit')}
        busy={step.isPending}
        send={({ email = '', alias = '', password = '' }) =>
          step.mutate({ email: email.trim(), password, ...(alias.trim() && { alias: alias.trim() }) })
        }
      >
        <SignField
          name="email"
          label={t('setup.email')}
          type="email"
          autoFocus
          autoComplete="username"
          maxLength={254}
        />
        <SignField
          name="alias"
          label={t('login.alias')}
          required={false}
          autoComplete="name"
          maxLength={128}
        />
        <NewPassword label={t('login.password')} />
      </SignForm>
      <p style={{ margin: '16px 0 0' }}>
        <Link to={first(query, false)}>{t('login.registered')}</Link>
      </p>
    </>
  );
}

function Password() {
  const { t } = useTranslation();
  const step = useStep((body: Schemas['SignIn']) => take(api.POST('/api/v1/session', { body })));
  return (
    <>
      <Failure error={step.error} meaning={wrongProof(step.error) ? t('login.wrong') : undefined} />
      <SignForm
        submit={t('login.submit')}
        busy={step.isPending}
        send={({ login = '', password = '' }) => step.mutate({ login: login.trim(), password })}
      >
        <SignField name="login" label={t('login.login')} autoFocus autoComplete="username" />
        <SignField
          name="password"
          label={t('login.password')}
          type="password"
          autoComplete="current-password"
        />
      </SignForm>
      <p style={{ margin: '16px 0 0' }}>{t('login.forgotten')}</p>
    </>
  );
}

function Code() {
  const { t } = useTranslation();
  const [backup, setBackup] = useState(false);
  const step = useStep((body: Schemas['SecondStepCode']) => take(api.POST('/api/v1/session/code', { body })));
  return (
    <>
      <Failure error={step.error} meaning={wrongProof(step.error) ? t('login.wrongCode') : undefined} />
      <SignForm
        key={String(backup)}
        submit={t('login.continue')}
        busy={step.isPending}
        send={({ code = '' }) => step.mutate({ code: code.trim() })}
      >
        <SignField
          name="code"
          label={t(backup ? 'login.backupCode' : 'login.code')}
          autoFocus
          autoComplete="one-time-code"
          inputMode={backup ? 'text' : 'numeric'}
        />
      </SignForm>
      <Push look="link" onClick={() => setBackup(!backup)}>
        {t(backup ? 'login.useCode' : 'login.useBackup')}
      </Push>
    </>
  );
}

function Change() {
  const { t } = useTranslation();
  const step = useStep((body: Schemas['PasswordChange']) =>
    take(api.PUT('/api/v1/session/password', { body })),
  );
  return (
    <>
      <p>{t('login.mustChange')}</p>
      <Failure error={step.error} />
      <SignForm
        submit={t('login.continue')}
        busy={step.isPending}
        send={({ current = '', password = '' }) => step.mutate({ current, new: password })}
      >
        <SignField
          name="current"
          label={t('login.given')}
          type="password"
          autoFocus
          autoComplete="current-password"
        />
        <SignField
          name="password"
          label={t('login.new')}
          hint={t('login.strong')}
          type="password"
          minLength={12}
          autoComplete="new-password"
        />
      </SignForm>
    </>
  );
}

/** The way back to the first step; whoever takes it goes on to the same page. */
function Leave() {
  const { t } = useTranslation();
  const [query] = useSearchParams();
  const client = useQueryClient();
  return (
    <Link
      to={first(query, false)}
      onClick={() => {
        void api.DELETE('/api/v1/session').finally(() => client.setQueryData(SESSION, null));
      }}
    >
      {t('login.other')}
    </Link>
  );
}
