// In front of whatever leads away from what was typed: a question. And where the session ends meanwhile, the sign-in, above it.

import { App } from 'antd';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { useBlocker } from 'react-router';
import { leaving } from '../part/confirm';
import { SignAgain } from './sign_again';
import { giveUp, loses, useOver, what } from './unsaved';

export function Leave() {
  const { t } = useTranslation();
  const { modal } = App.useApp();
  const over = useOver();
  const blocker = useBlocker(({ currentLocation, nextLocation }) => loses(currentLocation, nextLocation));
  useEffect(() => {
    if (blocker.state !== 'blocked') return;
    const asked = modal.confirm({
      ...leaving(t, what()),
      onOk: () => {
        giveUp();
        blocker.proceed();
      },
      onCancel: () => blocker.reset(),
    });
    return () => asked.destroy();
  }, [blocker, modal, t]);
  return over ? <SignAgain /> : null;
}
