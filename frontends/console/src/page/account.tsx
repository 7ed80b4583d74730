// Oneself: how one signs in, which programs act for one, and how the console looks.

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Alert, App, Button, Card, Form, Input, InputNumber, Modal, QRCode, Select, Tag } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, type Schemas, SESSION, take, wrongProof } from '../api/client';
import { usePreference } from '../app/preference';
import { useMe } from '../app/session';
import { Failure } from '../part/failure';
import { Page } from '../part/page';
import { Code, SecretOnce } from '../part/secret';
import { Sheet } from '../part/sheet';
import { SessionTable, TokenTable } from '../part/sign_in';

export default function AccountPage() {
  const { t } = useTranslation();
  const me = useMe();
  const [making, setMaking] = useState(false);
  const [issued, setIssued] = useState<Schemas['IssuedToken'] | null>(null);
  const who = [me.user ?? me.name, t(`role.${me.role}`), me.organization_alias];
  return (
    <Page title={t('frame.account')} note={who.filter(Boolean).join(' · ')}>
      <div className="stack">
        <div className="grid-wide">
          <Look />
          <Password />
          <SecondStep />
        </div>
        {me.user && <SessionTable user={me.user} />}
        {me.user && (
          <TokenTable
            user={me.user}
            extra={<Button onClick={() => setMaking(true)}>{t('token.create')}</Button>}
          />
        )}
      </div>
      {making && <TokenForm close={() => setMaking(false)} done={setIssued} />}
      {issued && (
        <SecretOnce secret={issued.secret} title={t('token.issued')} close={() => setIssued(null)} />
      )}
    </Page>
  );
}

function Look() {
  const { t } = useTranslation();
  const { value, change } = usePreference();
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = Intl.supportedValuesOf('timeZone');
  return (
    <Card title={t('look.title')}>
      <Form layout="vertical">
        <Form.Item label={t('frame.language')}>
          <Select
            aria-label={t('frame.language')}
            value={value.language}
            onChange={(language) => change({ language })}
            options={[
              { value: 'en', label: 'English' },
              { value: 'zh', label: '中文' },
            ]}
          />
        </Form.Item>
        <Form.Item label={t('look.colours')}>
          <Select
            aria-label={t('look.colours')}
            value={value.colours}
            onChange={(colours) => change({ colours })}
            options={(['system', 'light', 'dark'] as const).map((it) => ({
              value: it,
              label: t(`frame.colours.${it}`),
            }))}
          />
        </Form.Item>
        <Form.Item label={t('look.zone')}>
          <Select
            aria-label={t('look.zone')}
            showSearch
            value={value.zone}
            onChange={(zone) => change({ zone })}
            options={[
              { value: '', label: t('look.browserZone', { zone: here }) },
              ...zones.map((it) => ({ value: it, label: it })),
            ]}
          />
        </Form.Item>
        <Form.Item label={t('look.currency')} extra={t('look.rateHint')}>
          <span className="row">
            <Select
              aria-label={t('look.currency')}
              style={{ width: 110 }}
              value={value.currency}
              onChange={(currency) => change({ currency })}
              options={[{ value: 'USD' }, { value: 'CNY' }]}
            />
            {value.currency === 'CNY' && (
              <InputNumber
                aria-label={t('look.rate')}
                style={{ width: 200 }}
                prefix="1 USD ="
                suffix="CNY"
                min={0.01}
                max={1000}
                step={0.01}
                value={value.rate}
                onChange={(rate) => rate && change({ rate })}
              />
            )}
          </span>
        </Form.Item>
      </Form>
    </Card>
  );
}

function Password() {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const client = useQueryClient();
  const [form] = Form.useForm();
  const send = useMutation({
    mutationFn: (body: Schemas['PasswordChange']) => take(api.PUT('/api/v1/session/password', { body })),
    onSuccess: async () => {
      form.resetFields();
      message.success(t('account.passwordChanged'));
      await client.invalidateQueries({ queryKey: ['sessions'] });
    },
  });
  return (
    <Card title={t('account.password')}>
      <Form
        form={form}
        layout="vertical"
        onFinish={({ current, fresh }) => send.mutate({ current, new: fresh })}
      >
        <Failure error={send.error} meaning={wrongProof(send.error) ? t('account.wrong') : undefined} />
        <Form.Item
          name="current"
          label={t('account.current')}
          rules={[{ required: true, message: t('form.required') }]}
        >
          <Input.Password autoComplete="current-password" />
        </Form.Item>
        <Form.Item
          name="fresh"
          label={t('login.new')}
          extra={t('login.strong')}
          rules={[{ required: true, min: 12, message: t('form.twelve') }]}
        >
          <Input.Password autoComplete="new-password" />
        </Form.Item>
        <Button htmlType="submit" loading={send.isPending}>
          {t('account.changePassword')}
        </Button>
      </Form>
    </Card>
  );
}

type Want = 'offer' | 'remove' | 'renew';

function SecondStep() {
  const { t } = useTranslation();
  const [want, setWant] = useState<Want | null>(null);
  const account = useQuery({ queryKey: ['account'], queryFn: () => take(api.GET('/api/v1/account')) });
  const on = account.data?.second_step;
  return (
    <Card
      title={t('account.second')}
      extra={
        on !== undefined && (
          <Tag color={on ? 'success' : 'warning'}>{t(on ? 'account.on' : 'account.off')}</Tag>
        )
      }
    >
      <Failure error={account.error} />
      <p>{t(on ? 'account.secondOn' : 'account.secondOff', { count: account.data?.backup_codes ?? 0 })}</p>
      <span className="row">
        {on === false && (
          <Button type="primary" onClick={() => setWant('offer')}>
            {t('account.turnOn')}
          </Button>
        )}
        {on && <Button onClick={() => setWant('renew')}>{t('account.renew')}</Button>}
        {on && (
          <Button danger onClick={() => setWant('remove')}>
            {t('account.turnOff')}
          </Button>
        )}
      </span>
      {want && <Prove want={want} close={() => setWant(null)} />}
    </Card>
  );
}

/** What each change of the second step asks for, and what it shows once. */
function Prove({ want, close }: { want: Want; close: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [offer, setOffer] = useState<Schemas['SecondStepOffer'] | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const [form] = Form.useForm<{ password: string; code?: string }>();
  const send = useMutation({
    mutationFn: async ({ password, code }: { password: string; code?: string }) => {
      const body = { password, code: code || null };
      if (offer) {
        setCodes(
          (await take(api.PUT('/api/v1/account/second-step', { body: { code: code ?? '' } }))).backup_codes,
        );
      } else if (want === 'offer') {
        setOffer(await take(api.POST('/api/v1/account/second-step', { body: { password } })));
      } else if (want === 'renew') {
        setCodes((await take(api.POST('/api/v1/account/second-step/backup-codes', { body }))).backup_codes);
      } else {
        await take(api.POST('/api/v1/account/second-step/remove', { body }));
        close();
      }
      await client.invalidateQueries({ queryKey: ['account'] });
      await client.invalidateQueries({ queryKey: SESSION });
    },
  });
  if (codes) return <SecretOnce secret={codes.join('\n')} title={t('account.codes')} close={close} />;
  const code = (
    <Form.Item
      name="code"
      label={t(want === 'offer' ? 'login.code' : 'account.codeOrBackup')}
      rules={[{ required: true, message: t('form.required') }]}
    >
      <Input autoComplete="one-time-code" />
    </Form.Item>
  );
  return (
    <Modal
      open
      title={t(`account.${want}Title`)}
      okText={t('login.continue')}
      cancelText={t('form.cancel')}
      confirmLoading={send.isPending}
      onOk={() => form.submit()}
      onCancel={close}
    >
      <Failure error={send.error} meaning={wrongProof(send.error) ? t('account.wrong') : undefined} />
      <Form form={form} layout="vertical" onFinish={send.mutate}>
        {offer ? (
          <>
            <p>{t('account.scan')}</p>
            <QRCode value={offer.url} type="svg" bgColor="#fff" color="#000" />
            <Code text={offer.secret} />
            {code}
          </>
        ) : (
          <>
            <Form.Item
              name="password"
              label={t('account.current')}
              rules={[{ required: true, message: t('form.required') }]}
            >
              <Input.Password autoFocus autoComplete="current-password" />
            </Form.Item>
            {want !== 'offer' && code}
          </>
        )}
      </Form>
    </Modal>
  );
}

const AREAS = [
  'keys',
  'groups',
  'users',
  'organizations',
  'channels',
  'policies',
  'usage',
  'audit',
  'ledger',
  'routing',
];

function TokenForm(props: { close: () => void; done: (issued: Schemas['IssuedToken']) => void }) {
  const { t } = useTranslation();
  const scopes = ['read', 'write', ...AREAS.flatMap((area) => [`${area}:read`, `${area}:write`])];
  type Values = { name: string; scopes: string[]; days: number };
  return (
    <Sheet<Values, Schemas['IssuedToken']>
      title={t('token.create')}
      submit={t('form.create')}
      stale={['tokens']}
      initial={{ scopes: ['read'], days: 90 }}
      run={({ name, scopes, days }) =>
        take(api.POST('/api/v1/account/tokens', { body: { name, scopes, ttl: `${days}d` } }))
      }
      done={props.done}
      close={props.close}
    >
      <Alert type="info" showIcon style={{ marginBottom: 16 }} title={t('token.what')} />
      <Form.Item
        name="name"
        label={t('token.name')}
        rules={[{ required: true, message: t('form.required') }]}
      >
        <Input autoFocus />
      </Form.Item>
      <Form.Item
        name="scopes"
        label={t('token.scopes')}
        rules={[{ required: true, message: t('form.required') }]}
      >
        <Select mode="multiple" options={scopes.map((value) => ({ value }))} />
      </Form.Item>
      <Form.Item name="days" label={t('token.days')}>
        <InputNumber min={1} max={366} />
      </Form.Item>
    </Sheet>
  );
}
