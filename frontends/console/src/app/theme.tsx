// What stands around the pages that the component library draws: its colours, its own texts, and what asks and tells above a page.
// The first page does without, so that it is there before the library is.

import { App, ConfigProvider, theme } from 'antd';
import en from 'antd/locale/en_US';
import zh from 'antd/locale/zh_CN';
import { Outlet } from 'react-router';
import { colours, FONT } from './colour';
import { Leave } from './leave';
import { nonce } from './nonce';
import { usePreference } from './preference';

export default function Theme() {
  const { value, dark } = usePreference();
  const its = colours(dark);
  return (
    <ConfigProvider
      csp={nonce ? { nonce } : undefined}
      locale={value.language === 'zh' ? zh : en}
      theme={{
        algorithm: dark ? theme.darkAlgorithm : theme.defaultAlgorithm,
        token: {
          colorPrimary: its.seed,
          colorLink: its.link,
          colorSuccess: its.good,
          colorSuccessBg: its['good-ground'],
          colorWarningBg: its['warn-ground'],
          colorErrorBg: its['bad-ground'],
          colorError: its.bad,
          colorWarning: its.warn,
          // The library's own grey for secondary texts falls short of 4.5 : 1.
          colorTextSecondary: its.quiet,
          colorTextTertiary: its.faint,
          colorTextDescription: its.faint,
          colorTextPlaceholder: dark ? 'rgba(255,255,255,.6)' : 'rgba(0,0,0,.6)',
          borderRadius: 6,
          fontFamily: FONT,
          fontFamilyCode: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Noto Sans Mono CJK SC', monospace",
          motion: !matchMedia('(prefers-reduced-motion: reduce)').matches,
        },
        components: {
          // What stands in a chosen row is read as well as in any other.
          Table: { rowSelectedBg: its.chosen, rowSelectedHoverBg: its.chosen },
          Button: {
            // White on the library's own shade for what is pointed at falls short, and so it does on the red of the dark.
            colorPrimaryHover: its['main-hover'],
            defaultHoverColor: its.link,
            defaultHoverBorderColor: its.main,
            ...(dark && { dangerColor: its.sheet }),
          },
          Tabs: dark
            ? {
                itemSelectedColor: its['chosen-text'],
                itemHoverColor: its['chosen-text'],
                itemActiveColor: its['chosen-text'],
              }
            : {},
        },
      }}
    >
      <App component={false}>
        <Outlet />
        <Leave />
      </App>
    </ConfigProvider>
  );
}
