// Why a call was refused before a route was looked for, and what to do about it.

import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { ApiError, api, type Schemas, take } from '../api/client';
import { may, useMe } from '../app/session';
import { type Cause, causes, type Holder, near } from './cause';
import { useFormat } from './format';
import { modelNames } from './pick';
import { useWhose } from './whose';

type Record = Schemas['Record'];

/** Kinds of refusals whose cause isn't among the reasons. */
export const BEFORE = ['model_not_found', 'forbidden', 'unauthenticated'];

/** Nothing where it isn't there any more, or isn't the reader's to see. */
async function ifSeen<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 403 || error.status === 404)) return null;
    throw error;
  }
}

async function holdersOf(it: Record, reads: { users: boolean; organizations: boolean }): Promise<Holder[]> {
  const { key, group, user, organization } = it;
  const found: (Holder | null | undefined | '' | false)[] = await Promise.all([
    key &&
      ifSeen(take(api.GET('/api/v1/keys/{key}', { params: { path: { key } } }))).then(
        (it) => it && { ...it, scope: 'key' as const },
      ),
    group &&
      ifSeen(take(api.GET('/api/v1/groups/{group}', { params: { path: { group } } }))).then(
        (it) => it && { ...it, scope: 'group' as const },
      ),
    user &&
      reads.users &&
      ifSeen(take(api.GET('/api/v1/users/{user}', { params: { path: { user } } }))).then(
        (it) => it && { ...it, scope: 'user' as const },
      ),
    reads.organizations &&
      ifSeen(
        take(api.GET('/api/v1/organizations/{organization}', { params: { path: { organization } } })),
      ).then((it) => it && { ...it, scope: 'organization' as const }),
  ]);
  return found.filter((it): it is Holder => Boolean(it));
}

export function WhyRefused({ record }: { record: Record }) {
  const { t } = useTranslation();
  const me = useMe();
  const reads = { users: may(me, 'readAll'), organizations: may(me, 'organizations') };
  const holders = useQuery({
    queryKey: ['records', 'holders', record.call],
    queryFn: () => holdersOf(record, reads),
  });
  const isModel = record.error === 'model_not_found';
  const models = useQuery({
    queryKey: ['model-names'],
    queryFn: modelNames,
    staleTime: 60_000,
    enabled: isModel,
  });
  if (holders.isPending || (isModel && models.isPending)) return null;
  // Only who sees every model can say that nobody serves one.
  const served =
    models.data && (models.data.includes(record.model) ? true : may(me, 'super') ? false : undefined);
  const call = { error: record.error ?? '', model: record.model, at: record.started_at };
  const found = causes(call, holders.data ?? [], served);
  const meant = isModel
    ? near(
        record.model,
        (models.data ?? []).filter((it) => it !== record.model),
      )
    : [];
  return (
    <>
      {found.map((it) => (
        <Said key={JSON.stringify(it)} cause={it} record={record} />
      ))}
      {found.length === 0 && (
        <span>
          {isModel && served !== true
            ? t('why.noModel', { model: record.model })
            : t(may(me, 'administer') ? 'refused.since' : 'refused.ask')}
        </span>
      )}
      {meant.length > 0 && <span>{t('refused.near', { models: meant.join(', ') })}</span>}
      {isModel && <Link to="/models">{t('refused.models')}</Link>}
    </>
  );
}

function Said({ cause, record }: { cause: Cause; record: Record }) {
  const { t } = useTranslation();
  const me = useMe();
  const format = useFormat();
  const whose = useWhose(record);
  if (cause.why === 'unserved') {
    return (
      <>
        <span>{t('refused.unserved', { model: record.model })}</span>
        <Link to="/channels">{t('refused.addModel')}</Link>
      </>
    );
  }
  const holder = whose(cause.scope);
  const name = `${t(`why.scope.${cause.scope}`)} ${holder?.name ?? cause.id}`;
  const words = {
    blocked: () => t('refused.blocked', { name }),
    models: () =>
      t('refused.only', {
        name,
        models: cause.why === 'models' ? cause.models.join(', ') : '',
        model: record.model,
      }),
    expired: () => t('refused.expired', { name, at: cause.why === 'expired' ? format.time(cause.at) : '' }),
    address: () => t('refused.address', { name, from: cause.why === 'address' ? cause.from.join(', ') : '' }),
  };
  return (
    <>
      <span>{words[cause.why]()}</span>
      {holder?.to && <Link to={holder.to}>{t(`refused.do.${cause.why}`, { name: holder.name })}</Link>}
      {cause.scope !== 'key' && !may(me, 'administer') && <span>{t('refused.ask')}</span>}
    </>
  );
}
