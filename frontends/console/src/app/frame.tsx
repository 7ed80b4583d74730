// What stands around every page: where one can go, the search, and who one is. In plain elements, as the first page is.

import DesktopOutlined from '@ant-design/icons-svg/es/asn/DesktopOutlined';
import LogoutOutlined from '@ant-design/icons-svg/es/asn/LogoutOutlined';
import MenuOutlined from '@ant-design/icons-svg/es/asn/MenuOutlined';
import MoonOutlined from '@ant-design/icons-svg/es/asn/MoonOutlined';
import SearchOutlined from '@ant-design/icons-svg/es/asn/SearchOutlined';
import SunOutlined from '@ant-design/icons-svg/es/asn/SunOutlined';
import UserOutlined from '@ant-design/icons-svg/es/asn/UserOutlined';
import { useQuery } from '@tanstack/react-query';
import { memo, Suspense, useCallback, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import {
  Link,
  NavLink,
  Outlet,
  useLocation,
  useNavigate,
  useNavigation,
  useNavigationType,
} from 'react-router';
import { api, take } from '../api/client';
import { Icon } from '../part/icon';
import { Push, Spinner, Waiting } from '../part/plain';
import { NotFound } from './boundary';
import { PLACES } from './navigation';
import { ready } from './page';
import { type Preference, usePreference } from './preference';
import Search from './search';
import { may, signOut, useMe } from './session';

const NEXT: Record<Preference['colours'], Preference['colours']> = {
  system: 'light',
  light: 'dark',
  dark: 'system',
};
const ICON = { system: DesktopOutlined, light: SunOutlined, dark: MoonOutlined };

export default function Frame() {
  const { t } = useTranslation();
  const [searching, setSearching] = useState(false);
  const search = useCallback(() => setSearching(true), []);
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        search();
      }
    };
    addEventListener('keydown', listen);
    return () => removeEventListener('keydown', listen);
  }, [search]);
  return (
    <div className="frame">
      <a className="skip" href="#page">
        {t('frame.skip')}
      </a>
      <div className="side">
        <Places />
      </div>
      <div className="beside">
        <Head search={search} />
        <main id="page" tabIndex={-1}>
          <div className="page">
            <Suspense fallback={<Waiting />}>
              <Allowed />
            </Suspense>
          </div>
        </main>
      </div>
      {searching && <Search close={() => setSearching(false)} />}
    </div>
  );
}

/** A page that isn't offered isn't there, whoever knows its address. */
function Allowed() {
  const me = useMe();
  const here = useLocation().pathname;
  const way = useNavigationType();
  const before = useRef(here);
  useEffect(() => {
    if (before.current === here) return;
    before.current = here;
    // A new page begins at its top, and is what the next key is for; the way back leads to where one was.
    if (way === 'POP') return;
    scrollTo(0, 0);
    if (!document.querySelector('dialog[open], .ant-drawer-open'))
      document.getElementById('page')?.focus({ preventScroll: true });
  }, [here, way]);
  const place = PLACES.find((it) => here === it.path || here.startsWith(`${it.path}/`));
  return place && !may(me, place.right) ? <NotFound /> : <Outlet />;
}

const Head = memo(function Head({ search }: { search: () => void }) {
  const { t } = useTranslation();
  const moving = useNavigation().state === 'loading';
  return (
    <header className="top">
      <Drawer />
      <Push onClick={search} aria-label={`${t('frame.search')} Ctrl K`}>
        <Icon of={SearchOutlined} />
        <span className="hide-small">
          {t('frame.search')} <kbd>Ctrl K</kbd>
        </span>
      </Push>
      <span style={{ flex: 1 }}>{moving && <Spinner />}</span>
      <Display />
      <Self />
    </header>
  );
});

function Brand() {
  return (
    <Link to="/overview" className="brand">
      <img src="/icon.svg" alt="" width={24} height={24} />
      Sluicegate
    </Link>
  );
}

const Places = memo(function Places() {
  const { t } = useTranslation();
  const me = useMe();
  return (
    <nav aria-label={t('frame.navigation')}>
      <Brand />
      {(['watch', 'manage', 'system'] as const).map((part) => {
        const places = PLACES.filter((it) => it.part === part && may(me, it.right));
        return (
          places.length > 0 && (
            <section key={part} aria-label={t(`nav.part.${part}`)}>
              <div className="part">{t(`nav.part.${part}`)}</div>
              <ul>
                {places.map((it) => (
                  <li key={it.path}>
                    <NavLink
                      to={it.path}
                      onPointerEnter={() => intend(it.path)}
                      onPointerLeave={forget}
                      onPointerDown={forget}
                    >
                      <Icon of={it.icon} />
                      {t(it.name)}
                    </NavLink>
                  </li>
                ))}
              </ul>
            </section>
          )
        );
      })}
    </nav>
  );
});

let intended: ReturnType<typeof setTimeout> | undefined;

/** A pointer that stays on a name is about to press it. What it needs is read meanwhile, and not while the press is answered. */
function intend(path: string) {
  clearTimeout(intended);
  intended = setTimeout(() => ready(path), 80);
}

function forget() {
  clearTimeout(intended);
}

/** The same places where there is no room beside the page. */
function Drawer() {
  const { t } = useTranslation();
  const drawer = useRef<HTMLDialogElement>(null);
  const [open, setOpen] = useState(false);
  const here = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: going somewhere closes the drawer
  useEffect(() => drawer.current?.close(), [here.pathname]);
  return (
    <>
      <button
        type="button"
        className="push show-small"
        aria-label={t('frame.navigation')}
        aria-expanded={open}
        onClick={() => {
          setOpen(true);
          drawer.current?.showModal();
        }}
      >
        <Icon of={MenuOutlined} />
      </button>
      <dialog
        ref={drawer}
        className="drawer"
        aria-label={t('frame.navigation')}
        onClose={() => setOpen(false)}
        // Beside it is the dialog itself; within it, something in it.
        onClick={(event) => event.target === drawer.current && drawer.current.close()}
      >
        {open && <Places />}
      </dialog>
    </>
  );
}

/** Colours, language and currency, at hand on each page. */
function Display() {
  const { t } = useTranslation();
  const { value, change } = usePreference();
  return (
    <>
      <Push
        look="text"
        aria-label={t(`frame.colours.${value.colours}`)}
        title={t(`frame.colours.${value.colours}`)}
        onClick={() => change({ colours: NEXT[value.colours] })}
      >
        <Icon of={ICON[value.colours]} />
      </Push>
      <span className="hide-small">
        <Push
          look="text"
          aria-label={`${t('frame.currency')}: ${value.currency}`}
          title={t('frame.currency')}
          onClick={() => change({ currency: value.currency === 'USD' ? 'CNY' : 'USD' })}
        >
          {value.currency}
        </Push>
      </span>
      <Push
        look="text"
        title={t('frame.language')}
        onClick={() => change({ language: value.language === 'zh' ? 'en' : 'zh' })}
      >
        <span lang={value.language === 'zh' ? 'en' : 'zh'}>
          {value.language === 'zh' ? 'English' : '中文'}
        </span>
      </Push>
    </>
  );
}

/** What somebody is called: their id says little where the gateway made it up. */
function useCalled(): string {
  const me = useMe();
  const id = me.user ?? '';
  const { data } = useQuery({
    queryKey: ['users', 'one', id],
    queryFn: () => take(api.GET('/api/v1/users/{user}', { params: { path: { user: id } } })),
    enabled: id !== '',
    staleTime: 60_000,
    retry: false,
  });
  return data?.alias || data?.email || id || me.name;
}

function Self() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const me = useMe();
  const called = useCalled();
  const menu = useRef<HTMLDivElement>(null);
  const go = (to: string) => {
    menu.current?.hidePopover();
    navigate(to);
  };
  return (
    <>
      <button
        type="button"
        className="push push-text"
        popoverTarget="self"
        aria-label={t('frame.self', { name: called })}
      >
        <Icon of={UserOutlined} />
        <span className="hide-small cut" style={{ maxWidth: 180 }}>
          {called}
        </span>
      </button>
      <div ref={menu} id="self" popover="auto" className="self">
        <div className="part">
          {[t(`role.${me.role}`), me.organization_alias].filter(Boolean).join(' · ')}
        </div>
        <Push look="wide" onClick={() => go('/account')}>
          <Icon of={UserOutlined} />
          {t('frame.account')}
        </Push>
        <Push
          look="wide"
          onClick={async () => {
            await signOut().catch(() => undefined);
            go('/login');
          }}
        >
          <Icon of={LogoutOutlined} />
          {t('frame.signOut')}
        </Push>
      </div>
    </>
  );
}
