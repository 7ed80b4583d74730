// Colours and the component library's own texts.

import { ConfigProvider, theme } from 'antd';
import en from 'antd/locale/en_US';
import zh from 'antd/locale/zh_CN';
import type { ReactNode } from 'react';
import { nonce } from './nonce';
import { usePreference } from './preference';

export function Theme({ children }: { children: ReactNode }) {
  const { value, dark } = usePreference();
  return (
    <ConfigProvider
      csp={nonce ? { nonce } : undefined}
      locale={value.language === 'zh' ? zh : en}
      theme={{
        algorithm: dark ? theme.darkAlgorithm : theme.defaultAlgorithm,
        token: {
          colorPrimary: dark ? '#3d78dc' : '#1357c4',
          colorLink: dark ? '#7db0ff' : '#1357c4',
          colorSuccess: dark ? '#62c434' : '#2b7a0b',
          colorSuccessBg: dark ? '#162312' : '#edf8e6',
          colorWarningBg: dark ? '#2b1f0c' : '#fff6e0',
          colorErrorBg: dark ? '#2c1618' : '#fff0ef',
          colorError: dark ? '#ff7a84' : '#c4171f',
          colorWarning: dark ? '#e8a92a' : '#8a5600',
          // The library's own grey for secondary texts falls short of 4.5 : 1.
          colorTextSecondary: dark ? 'rgba(255,255,255,.72)' : 'rgba(0,0,0,.7)',
          colorTextTertiary: dark ? 'rgba(255,255,255,.66)' : 'rgba(0,0,0,.62)',
          colorTextDescription: dark ? 'rgba(255,255,255,.66)' : 'rgba(0,0,0,.62)',
          colorTextPlaceholder: dark ? 'rgba(255,255,255,.6)' : 'rgba(0,0,0,.6)',
          borderRadius: 6,
          fontFamily:
            "system-ui, -apple-system, 'Segoe UI', Roboto, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif",
          fontFamilyCode: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Noto Sans Mono CJK SC', monospace",
          motion: !matchMedia('(prefers-reduced-motion: reduce)').matches,
        },
        components: {
          Menu: dark ? { itemSelectedColor: '#a9cbff' } : {},
          Tabs: dark
            ? { itemSelectedColor: '#a9cbff', itemHoverColor: '#a9cbff', itemActiveColor: '#a9cbff' }
            : {},
          Layout: { headerPadding: '0 16px', headerHeight: 52 },
        },
      }}
    >
      {children}
    </ConfigProvider>
  );
}
