// One policy: written and checked as one types, tried beside what runs, taken into use and back.

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Alert, App, Button, Card, Input, Select, Skeleton, Tabs, Tag } from 'antd';
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate, useParams } from 'react-router';
import { ApiError, api, type Schemas, take } from '../api/client';
import { changesPolicy, policyNarrows, policyPlace, type Place as Whose } from '../app/right';
import { may, useMe } from '../app/session';
import { giveUp, useUnsaved } from '../app/unsaved';
import { FromFile, Named } from '../part/badge';
import { policyBreaks } from '../part/broken';
import { useConfirm } from '../part/confirm';
import type { Finding } from '../part/editor';
import { Failure } from '../part/failure';
import { useName } from '../part/name';
import { Page } from '../part/page';
import { PickNamed, PickOrganization } from '../part/pick';
import { Waiting } from '../part/plain';
import { useFilter } from '../part/query';
import { useTold } from '../part/said';
import { PolicyReplay } from './policy_replay';
import { PolicyTry } from './policy_try';
import { PolicyVersions, Shadow } from './policy_version';

// It is read while the policy is.
const editor = import('../part/editor');
// Whoever opens it hears of the failure.
editor.catch(() => undefined);
const Editor = lazy(() => editor);

// It holds in whatever scope it is attached to: a test that doesn't say who calls is of that scope.
const START = `fn route(call, candidates) {
    if call.input_tokens > 50_000 {
        prefer("tag:large");
    }
}

fn test_long_prompts_go_to_large_models() {
    given(#{ input_tokens: 60_000 })
        .candidates([#{ name: "small" }, #{ name: "large", tags: ["large"] }])
        .route()
        .assert_first("large");
}
`;

/** No version: it is about to be made. */
const NONE = 'none';
const TYPED = Symbol('policy');

/** Its tabs keep it; another version, or another page, doesn't. */
function losesText(from: Place, to: Place): boolean {
  const version = (it: Place) => new URLSearchParams(it.search).get('version');
  return from.pathname !== to.pathname || version(from) !== version(to);
}

type Place = { pathname: string; search: string };

type Draft = Whose & { text: string; on_error: 'fail_open' | 'fail_closed'; note: string };

export default function PolicyPage() {
  const { t } = useTranslation();
  const { policy: name = '' } = useParams();
  const [filter, change] = useFilter();
  const me = useMe();
  const confirm = useConfirm();
  const navigate = useNavigate();
  const client = useQueryClient();
  const path = { policy: name };
  const query = useQuery({
    queryKey: ['policies', 'one', name],
    queryFn: async () => {
      try {
        return await take(api.GET('/api/v1/policies/{policy}', { params: { path } }));
      } catch (error) {
        // One that is about to be made isn't there yet.
        if (filter.new && error instanceof ApiError && error.status === 404) return null;
        throw error;
      }
    },
  });
  const policy = query.data;
  const newest = (policy?.newest ?? policy?.active)?.toString();
  // What was typed goes on from the version that it was begun with, whatever is saved meanwhile.
  const [pinned, setPinned] = useState<string | null>(null);
  const wanted = filter.version ?? pinned ?? newest;
  const mine = useRef<string | undefined>(undefined);
  mine.current = wanted;
  const touched = useCallback((dirty: boolean) => setPinned(dirty ? (mine.current ?? NONE) : null), []);
  const version = useQuery({
    queryKey: ['policies', 'version', name, wanted],
    queryFn: () =>
      take(
        api.GET('/api/v1/policies/{policy}/versions/{version}', {
          params: { path: { ...path, version: wanted ?? '' } },
        }),
      ),
    enabled: policy?.source === 'database' && wanted !== undefined && wanted !== NONE,
  });
  const parent = { to: '/policies', name: t('nav.policies') };
  if (query.error || query.isPending || (version.isPending && version.fetchStatus !== 'idle')) {
    return (
      <Page title={name} parent={parent}>
        {query.error ? <Failure error={query.error} again={() => query.refetch()} /> : <Skeleton active />}
      </Page>
    );
  }
  // Another text than the one that was asked for would be saved in its name.
  if (version.error) {
    return (
      <Page title={name} parent={parent}>
        <Failure error={version.error} again={() => version.refetch()} />
        {filter.version && (
          <Button onClick={() => change({ version: undefined })}>{t('policy.toNewest')}</Button>
        )}
      </Page>
    );
  }
  const tabs = ['text', ...(policy ? ['versions'] : []), ...(policy?.shadow != null ? ['shadow'] : [])];
  const write = policy ? policy.source !== 'file' && changesPolicy(me, policy) : may(me, 'administer');
  return (
    <Page
      title={name}
      parent={parent}
      note={
        <>
          {policy?.active != null && <Tag color="success">{t('policy.runs', { number: policy.active })}</Tag>}
          {policy?.shadow != null && (
            <Tag color="processing">{t('policy.tried', { number: policy.shadow })}</Tag>
          )}
          {policy?.active == null && policy?.source !== 'file' && <Tag>{t('policy.runsNot')}</Tag>}
          <FromFile source={policy?.source} />
        </>
      }
      actions={
        policy &&
        write && (
          <Button
            danger
            onClick={() =>
              confirm({
                title: t('policy.deleteTitle', { name }),
                breaks: () => policyBreaks(t, policy),
                action: t('form.delete'),
                run: async () => {
                  await take(api.DELETE('/api/v1/policies/{policy}', { params: { path } }));
                  navigate('/policies');
                  await client.invalidateQueries({ queryKey: ['policies'], refetchType: 'none' });
                },
              })
            }
          >
            {t('form.delete')}
          </Button>
        )
      }
    >
      {policy?.source === 'file' ? (
        <Alert type="info" showIcon title={t('policy.inFile')} />
      ) : (
        <Tabs
          activeKey={tabs.find((it) => it === filter.tab) ?? 'text'}
          onChange={(tab) => change({ tab: tab === 'text' ? undefined : tab })}
          items={[
            {
              key: 'text',
              label: t('policy.text'),
              children: (
                <>
                  {pinned !== null && newest !== undefined && newest !== wanted && !filter.version && (
                    <Alert
                      type="warning"
                      showIcon
                      style={{ marginBottom: 12 }}
                      title={t('policy.meanwhile', { number: newest, mine: pinned === NONE ? '–' : pinned })}
                      action={
                        <Button
                          size="small"
                          onClick={() => {
                            giveUp();
                            setPinned(null);
                          }}
                        >
                          {t('policy.take')}
                        </Button>
                      }
                    />
                  )}
                  <Write
                    key={`${name} ${wanted === NONE ? undefined : wanted}`}
                    name={name}
                    write={write}
                    version={version.data}
                    touched={touched}
                    // The first version waits to be put into use, which is done where versions are.
                    saved={() =>
                      change({
                        new: undefined,
                        version: undefined,
                        ...(filter.new && { tab: 'versions' }),
                      })
                    }
                  />
                </>
              ),
            },
            ...(policy
              ? [
                  {
                    key: 'versions',
                    label: t('policy.versions'),
                    children: <PolicyVersions name={name} policy={policy} write={write} />,
                  },
                  ...(policy.shadow != null
                    ? [
                        {
                          key: 'shadow',
                          label: t('policy.shadow'),
                          children: <Shadow name={name} version={policy.shadow} write={write} />,
                        },
                      ]
                    : []),
                ]
              : []),
          ]}
        />
      )}
    </Page>
  );
}

function Write(props: {
  name: string;
  write: boolean;
  version: Schemas['PolicyVersion'] | undefined;
  /** Whether there is something that isn't saved. */
  touched: (dirty: boolean) => void;
  saved: () => void;
}) {
  const { t } = useTranslation();
  const said = useTold();
  const me = useMe();
  const { message } = App.useApp();
  const client = useQueryClient();
  const before = props.version;
  const first: Draft = {
    text: before?.text ?? START,
    on_error: before?.on_error ?? 'fail_open',
    note: '',
    ...(before
      ? { organization: before.organization ?? null, group: before.group ?? null, key: before.key ?? null }
      : policyPlace(me)),
  };
  const [draft, setDraft] = useState(first);
  const [begun] = useState(() => JSON.stringify(first));
  const dirty = props.write && JSON.stringify(draft) !== begun;
  useUnsaved(dirty, TYPED, losesText);
  const { touched } = props;
  useEffect(() => touched(dirty), [dirty, touched]);
  const set = (part: Partial<Draft>) => setDraft((now) => ({ ...now, ...part }));
  // What is checked lags behind what is typed.
  const [asked, setAsked] = useState(draft.text);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(draft.text), 400);
    return () => clearTimeout(timer);
  }, [draft.text]);
  const path = { policy: props.name };
  const { note: _, ...attached } = draft;
  // One that is stored is replayed where it stands, also when that is there no more, or a file says it.
  const tried = before ? { text: draft.text, on_error: draft.on_error } : attached;
  const sample = props.write ? { ...attached, text: asked } : undefined;
  const check = useQuery({
    queryKey: ['policy-check', props.name, asked, draft.group, draft.organization, draft.key],
    queryFn: () =>
      take(
        api.POST('/api/v1/policies/{policy}/check', { params: { path }, body: { ...attached, text: asked } }),
      ),
    placeholderData: (last) => last,
    enabled: props.write,
  });
  const save = useMutation({
    mutationFn: () => take(api.PUT('/api/v1/policies/{policy}', { params: { path }, body: draft })),
    onSuccess: async (version) => {
      message.success(t('policy.saved', { number: version.number }));
      giveUp();
      props.touched(false);
      props.saved();
      await client.invalidateQueries({ queryKey: ['policies'] });
    },
  });
  const findings = useMemo<Finding[]>(
    () => [
      ...(check.data?.diagnostics ?? []).map((it) => ({
        ...it,
        message: [it.message, it.remedy].filter(Boolean).map(said).join(t('why.colon')),
      })),
      ...(check.data?.tests.failures ?? []).map((it) => ({ ...it, message: said(it.message) })),
    ],
    [check.data, said, t],
  );
  return (
    <div className="stack">
      <Failure error={save.error ?? check.error} />
      <div className="row">
        <Attached place={draft} fixed={!props.write || before !== undefined} change={set} />
        <Select
          aria-label={t('policy.onError')}
          style={{ width: 230 }}
          disabled={!props.write}
          value={draft.on_error}
          onChange={(on_error) => set({ on_error })}
          options={(['fail_open', 'fail_closed'] as const).map((value) => ({
            value,
            label: t(`policy.errors.${value}`),
          }))}
        />
        {!draft.organization && !draft.group && !draft.key && <Tag>{t('policy.everybody')}</Tag>}
        {props.write && before && <span className="quiet">{t('policy.stays')}</span>}
      </div>
      <div className="editor-place">
        {/* It can be read before it can be written. */}
        <Suspense fallback={<pre className="code mono">{draft.text}</pre>}>
          <Editor
            label={t('policy.text')}
            value={draft.text}
            change={props.write ? (text) => set({ text }) : undefined}
            findings={findings}
          />
        </Suspense>
      </div>
      {props.write && <Checked check={check.data} />}
      {props.write && (
        <div className="row">
          <Input
            aria-label={t('policy.note')}
            placeholder={t('policy.note')}
            style={{ maxWidth: 360 }}
            value={draft.note}
            onChange={(event) => set({ note: event.target.value })}
          />
          <Button
            type="primary"
            loading={save.isPending}
            disabled={check.data?.ok === false}
            onClick={() => save.mutate()}
          >
            {t('policy.save')}
          </Button>
          <span>{t('policy.saveHint')}</span>
        </div>
      )}
      <PolicyTry policy={props.name} draft={sample} />
      {may(me, 'super') && <PolicyReplay draft={{ ...tried, name: props.name }} />}
    </div>
  );
}

/** Whose calls a policy steers, by name, for whoever may read it. */
function Stands({ organization, group, key }: Whose) {
  if (key) return <Named of="keys" id={key} />;
  if (group) return <Named of="groups" id={group} />;
  return organization ? <Named of="organizations" id={organization} /> : null;
}

/** Whose calls it steers: chosen for the first version, and as it was from then on. */
function Attached({ place, fixed, change }: { place: Whose; fixed: boolean; change: (to: Whose) => void }) {
  const { t } = useTranslation();
  const me = useMe();
  const narrows = policyNarrows(me);
  const home = policyPlace(me);
  const nobody: Whose = { organization: null, group: null, key: null };
  // What is taken away leads back to where theirs stand.
  const pick = (to: Partial<Whose> | undefined) => change(to ? { ...nobody, ...to } : home);
  const group = useName('groups');
  if (fixed) return <Stands {...place} />;
  return (
    <>
      {narrows.includes('organizations') && (
        <PickOrganization
          style={{ width: 170 }}
          aria-label={t('form.organization')}
          placeholder={t('form.organization')}
          allowClear={may(me, 'super')}
          value={place.organization ?? undefined}
          onChange={(organization) => pick(organization ? { organization } : undefined)}
        />
      )}
      {narrows.includes('keys') ? (
        <PickNamed
          of="groups"
          style={{ width: 170 }}
          value={place.group ?? undefined}
          onChange={(group) => pick(group ? { group } : undefined)}
        />
      ) : (
        <Select
          aria-label={t('key.group')}
          style={{ width: 170 }}
          value={place.group ?? undefined}
          options={me.administers.map((value) => ({ value, label: group(value) }))}
          onChange={(group) => pick({ group })}
        />
      )}
      {narrows.includes('keys') && (
        <PickNamed
          of="keys"
          style={{ width: 170 }}
          value={place.key ?? undefined}
          onChange={(key) => pick(key ? { key } : undefined)}
        />
      )}
    </>
  );
}

function Checked({ check }: { check: Schemas['PolicyCheck'] | undefined }) {
  const { t } = useTranslation();
  const said = useTold();
  // It stands where it will be: what is below it doesn't move.
  if (!check)
    return (
      <Card size="small" title={t('policy.checked')}>
        <Waiting />
      </Card>
    );
  const { passed, failures } = check.tests;
  return (
    <Card
      size="small"
      title={t('policy.checked')}
      extra={
        <Tag color={check.ok ? 'success' : 'error'}>{t(check.ok ? 'policy.sound' : 'policy.faulty')}</Tag>
      }
    >
      <div role="status">
        {check.diagnostics.map((it) => (
          <p key={`${it.line} ${it.column} ${it.message}`}>
            {t('policy.at', { line: it.line, column: it.column })} {said(it.message)}
            {it.remedy && ` – ${said(it.remedy)}`}
          </p>
        ))}
        <p style={{ margin: 0 }}>
          {passed + failures.length === 0
            ? t('policy.noTests')
            : t('policy.tests', { passed, all: passed + failures.length })}
        </p>
        {failures.map((it) => (
          <p key={it.name} style={{ margin: '8px 0 0' }}>
            <strong className="mono">{it.name}</strong> {t('policy.at', { line: it.line, column: it.column })}{' '}
            {said(it.message)}
          </p>
        ))}
      </div>
    </Card>
  );
}
