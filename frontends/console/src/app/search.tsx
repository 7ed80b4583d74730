// Ctrl-K: pages by name, what can be begun, calls by id, and keys, groups, users, channels, models, organizations and policies by what
// they are called.

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { type KeyboardEvent, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import { api, take } from '../api/client';
import { Nothing, Spinner, Tag } from '../part/plain';
import { useSettled } from '../part/settled';
import { PLACES } from './navigation';
import { type Me, may, type Right, useMe } from './session';

/** What can be begun from anywhere. */
const ACTIONS: { to: string; name: string; right: Right }[] = [
  { to: '/keys?create=1', name: 'key.create', right: 'write' },
  { to: '/groups?create=1', name: 'group.create', right: 'organization' },
  { to: '/users?create=1', name: 'user.create', right: 'organization' },
  { to: '/organizations?create=1', name: 'organization.create', right: 'super' },
  { to: '/channels?create=1', name: 'channel.create', right: 'super' },
  { to: '/requests?status=failed', name: 'frame.failedCalls', right: 'any' },
  { to: '/requests?status=denied', name: 'frame.deniedCalls', right: 'any' },
  { to: '/models?priced=false', name: 'frame.unpriced', right: 'any' },
];

type Found = { to: string; name: string; kind: string; more?: string };

async function find(me: Me, search: string, signal: AbortSignal): Promise<Found[]> {
  const query = { search, limit: '6' };
  const one = (id: string) => encodeURIComponent(id);
  const keys = take(api.GET('/api/v1/keys', { params: { query }, signal })).then((it) =>
    it.items.map((key) => ({
      to: `/keys/${one(key.id)}`,
      name: key.alias ?? key.id,
      kind: 'nav.keys',
      more: key.hint,
    })),
  );
  const groups = take(api.GET('/api/v1/groups', { params: { query }, signal })).then((it) =>
    it.items.map((group) => ({
      to: `/groups/${one(group.id)}`,
      name: group.alias ?? group.id,
      kind: 'nav.groups',
    })),
  );
  const users = may(me, 'readAll')
    ? take(api.GET('/api/v1/users', { params: { query }, signal })).then((it) =>
        it.items.map((user) => ({
          to: `/users/${one(user.id)}`,
          name: user.alias ?? user.email ?? user.id,
          kind: 'nav.users',
          more: user.email ?? undefined,
        })),
      )
    : [];
  const channels = may(me, 'super')
    ? take(api.GET('/api/v1/channels', { params: { query }, signal })).then((it) =>
        it.items.map((channel) => ({
          to: `/channels/${one(channel.id)}`,
          name: channel.name,
          kind: 'nav.channels',
          more: channel.provider,
        })),
      )
    : [];
  const organizations = may(me, 'organizations')
    ? take(api.GET('/api/v1/organizations', { params: { query }, signal })).then((it) =>
        it.items.map((found) => ({
          to: `/organizations/${one(found.id)}`,
          name: found.alias ?? found.id,
          kind: 'nav.organizations',
        })),
      )
    : [];
  const policies = may(me, 'readAll')
    ? take(api.GET('/api/v1/policies', { signal })).then((it) =>
        it.items
          .filter((found) => found.name.toLowerCase().includes(search.toLowerCase()))
          .slice(0, 6)
          .map((found) => ({ to: `/policies/${one(found.name)}`, name: found.name, kind: 'nav.policies' })),
      )
    : [];
  const models = take(api.GET('/api/v1/models', { params: { query }, signal })).then((it) =>
    it.items.map((found) => ({
      to: `/models?search=${one(found.name)}`,
      name: found.name,
      kind: 'request.model',
    })),
  );
  // One list that can't be read is no reason to hide the others.
  const settled = await Promise.allSettled<Found[]>(
    [keys, groups, users, channels, models, organizations, policies].map(async (it) => it),
  );
  return settled.flatMap((it) => (it.status === 'fulfilled' ? it.value : []));
}

export default function Search({ close }: { close: () => void }) {
  const { t } = useTranslation();
  const me = useMe();
  const navigate = useNavigate();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const typed = text.trim();
  const asked = useSettled(typed, 150);
  const things = useQuery({
    queryKey: ['search', asked],
    queryFn: ({ signal }) => find(me, asked, signal),
    enabled: asked.length > 0,
    placeholderData: keepPreviousData,
  });
  // What an earlier text found is seen until the new one is answered, and leads nowhere.
  const fresh = asked === typed && !things.isPlaceholderData && !things.isFetching;
  const low = typed.toLowerCase();
  const pages: Found[] = PLACES.filter((it) => may(me, it.right))
    .map((it) => ({ to: it.path, name: t(it.name), kind: 'nav.page' }))
    .filter((it) => it.name.toLowerCase().includes(low) || it.to.includes(low));
  const actions: Found[] = ACTIONS.filter((it) => may(me, it.right))
    .map((it) => ({ to: it.to, name: t(it.name), kind: 'frame.action' }))
    .filter((it) => typed && it.name.toLowerCase().includes(low));
  // An id that was copied from a log or an answer's header.
  const calls: Found[] = /^call-[0-9a-z-]+$/.test(typed)
    ? [{ to: `/requests/${encodeURIComponent(typed)}`, name: typed, kind: 'nav.requests' }]
    : [];
  const known = [...calls, ...pages, ...actions];
  const all = [...known, ...(typed && asked ? (things.data ?? []) : [])];
  const chosen = Math.min(at, all.length - 1);
  const go = (found: Found | undefined) => {
    if (!found) return;
    close();
    navigate(found.to);
  };
  // Whoever was quicker than the answer goes to the first that it finds.
  const [waits, setWaits] = useState(false);
  const to = waits && fresh ? all[chosen] : undefined;
  // biome-ignore lint/correctness/useExhaustiveDependencies: it goes once, as soon as there is where to
  useEffect(() => {
    if (waits && fresh) setWaits(false);
    go(to);
  }, [waits, fresh]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt(Math.min(chosen + 1, all.length - 1));
    else if (event.key === 'ArrowUp') setAt(Math.max(chosen - 1, 0));
    else if (event.key === 'Enter') {
      if (fresh || chosen < known.length) go(all[chosen]);
      else setWaits(true);
    } else return;
    event.preventDefault();
  };
  return (
    <dialog
      ref={dialog}
      className="search"
      aria-label={t('frame.search')}
      onClose={close}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <div className="search-line">
        <input
          autoFocus
          role="combobox"
          aria-expanded
          aria-controls="found"
          aria-activedescendant={all[chosen] ? `found-${chosen}` : undefined}
          aria-label={t('frame.searchHint')}
          placeholder={t('frame.searchHint')}
          autoComplete="off"
          spellCheck={false}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setAt(0);
            setWaits(false);
          }}
          onKeyDown={onKeyDown}
        />
        {things.isFetching && <Spinner />}
      </div>
      <div id="found" role="listbox" aria-label={t('frame.found')} className="found">
        {all.map((found, index) => (
          <div
            key={found.to + found.kind}
            id={`found-${index}`}
            role="option"
            aria-selected={index === chosen}
            onClick={() => go(found)}
            onMouseMove={() => setAt(index)}
            className="row"
          >
            <Tag>{t(found.kind)}</Tag>
            <span style={{ overflowWrap: 'anywhere' }}>{found.name}</span>
            {found.more && <span className="mono">{found.more}</span>}
          </div>
        ))}
      </div>
      {all.length === 0 && (fresh || !typed) && <Nothing>{t('frame.nothing')}</Nothing>}
    </dialog>
  );
}
