// What stands around every page: where one can go, the search, and who one is.

import {
  DesktopOutlined,
  LogoutOutlined,
  MenuOutlined,
  MoonOutlined,
  SearchOutlined,
  SunOutlined,
  UserOutlined,
} from '@ant-design/icons';
import { App, Button, Drawer, Dropdown, Grid, Layout, Menu, Spin, theme } from 'antd';
import { lazy, Suspense, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, Outlet, useLocation, useNavigate, useNavigation } from 'react-router';
import { PLACES } from './navigation';
import { type Preference, usePreference } from './preference';
import { may, signOut, useMe } from './session';

const Search = lazy(() => import('./search'));

const NEXT: Record<Preference['colours'], Preference['colours']> = {
  system: 'light',
  light: 'dark',
  dark: 'system',
};
const ICON = { system: <DesktopOutlined />, light: <SunOutlined />, dark: <MoonOutlined /> };

export default function Frame() {
  const { t } = useTranslation();
  const { token } = theme.useToken();
  const wide = Grid.useBreakpoint().lg ?? true;
  const [open, setOpen] = useState(false);
  const [searching, setSearching] = useState(false);
  const here = useLocation();
  const moving = useNavigation().state === 'loading';

  // biome-ignore lint/correctness/useExhaustiveDependencies: going somewhere closes the drawer
  useEffect(() => setOpen(false), [here.pathname]);
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        setSearching(true);
      }
    };
    addEventListener('keydown', listen);
    return () => removeEventListener('keydown', listen);
  }, []);

  const menu = <Places />;
  return (
    <App component={false}>
      <Layout style={{ minHeight: '100%' }}>
        <a className="skip" href="#page">
          {t('frame.skip')}
        </a>
        {wide && (
          <Layout.Sider
            width={212}
            style={{
              background: token.colorBgContainer,
              borderInlineEnd: `1px solid ${token.colorBorderSecondary}`,
            }}
          >
            <nav
              aria-label={t('frame.navigation')}
              style={{ position: 'sticky', top: 0, maxHeight: '100vh', overflowY: 'auto' }}
            >
              <Brand />
              {menu}
            </nav>
          </Layout.Sider>
        )}
        <Layout style={{ minWidth: 0 }}>
          <Layout.Header
            className="row"
            style={{
              background: token.colorBgContainer,
              borderBottom: `1px solid ${token.colorBorderSecondary}`,
              position: 'sticky',
              top: 0,
              zIndex: 10,
              flexWrap: 'nowrap',
              lineHeight: 'normal',
            }}
          >
            {!wide && (
              <Button
                icon={<MenuOutlined />}
                aria-label={t('frame.navigation')}
                onClick={() => setOpen(true)}
              />
            )}
            <Button
              icon={<SearchOutlined />}
              onClick={() => setSearching(true)}
              aria-label={`${t('frame.search')} Ctrl K`}
            >
              <span className="hide-small">
                {t('frame.search')} <kbd>Ctrl K</kbd>
              </span>
            </Button>
            <span style={{ flex: 1 }}>{moving && <Spin size="small" />}</span>
            <Display />
            <Self />
          </Layout.Header>
          <Layout.Content id="page" tabIndex={-1} style={{ outline: 'none' }}>
            <div style={{ padding: wide ? 24 : 12, maxWidth: 1600, margin: '0 auto' }}>
              <Suspense fallback={<Spin />}>
                <Outlet />
              </Suspense>
            </div>
          </Layout.Content>
        </Layout>
        <Drawer
          placement="left"
          size={260}
          open={open && !wide}
          onClose={() => setOpen(false)}
          title={<Brand />}
          styles={{ body: { padding: 0 } }}
        >
          {menu}
        </Drawer>
        {searching && (
          <Suspense>
            <Search close={() => setSearching(false)} />
          </Suspense>
        )}
      </Layout>
    </App>
  );
}

function Brand() {
  const { token } = theme.useToken();
  return (
    <Link
      to="/overview"
      className="row"
      style={{ padding: '14px 20px', color: token.colorText, fontWeight: 600, fontSize: 16 }}
    >
      <img src="/icon.svg" alt="" width={24} height={24} />
      Sluicegate
    </Link>
  );
}

function Places() {
  const { t } = useTranslation();
  const me = useMe();
  const here = useLocation().pathname;
  const items = (['watch', 'manage', 'system'] as const)
    .map((part) => ({
      key: part,
      type: 'group' as const,
      label: t(`nav.part.${part}`),
      children: PLACES.filter((it) => it.part === part && may(me, it.right)).map((it) => ({
        key: it.path,
        icon: it.icon,
        label: <Link to={it.path}>{t(it.name)}</Link>,
      })),
    }))
    .filter((group) => group.children.length > 0);
  const chosen = PLACES.find((it) => here === it.path || here.startsWith(`${it.path}/`));
  return (
    <Menu
      mode="inline"
      items={items}
      selectedKeys={chosen ? [chosen.path] : []}
      style={{ borderInlineEnd: 0 }}
    />
  );
}

/** Colours, language and currency, at hand on each page. */
function Display() {
  const { t } = useTranslation();
  const { value, change } = usePreference();
  return (
    <>
      <Button
        type="text"
        aria-label={t(`frame.colours.${value.colours}`)}
        title={t(`frame.colours.${value.colours}`)}
        icon={ICON[value.colours]}
        onClick={() => change({ colours: NEXT[value.colours] })}
      />
      <Button
        type="text"
        className="hide-small"
        aria-label={`${t('frame.currency')}: ${value.currency}`}
        title={t('frame.currency')}
        onClick={() => change({ currency: value.currency === 'USD' ? 'CNY' : 'USD' })}
      >
        {value.currency}
      </Button>
      <Button
        type="text"
        title={t('frame.language')}
        onClick={() => change({ language: value.language === 'zh' ? 'en' : 'zh' })}
      >
        <span lang={value.language === 'zh' ? 'en' : 'zh'}>
          {value.language === 'zh' ? 'English' : '中文'}
        </span>
      </Button>
    </>
  );
}

function Self() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const me = useMe();
  return (
    <Dropdown
      trigger={['click']}
      menu={{
        items: [
          { key: 'who', type: 'group', label: t(`role.${me.role}`) },
          { key: 'account', icon: <UserOutlined />, label: t('frame.account') },
          { key: 'out', icon: <LogoutOutlined />, label: t('frame.signOut') },
        ],
        onClick: async ({ key }) => {
          if (key === 'account') return navigate('/account');
          await signOut().catch(() => undefined);
          return navigate('/login');
        },
      }}
    >
      <Button type="text" icon={<UserOutlined />} aria-label={t('frame.self', { name: me.name })}>
        <span className="hide-small" style={{ maxWidth: 180, overflow: 'hidden', textOverflow: 'ellipsis' }}>
          {me.user ?? me.name}
        </span>
      </Button>
    </Dropdown>
  );
}
