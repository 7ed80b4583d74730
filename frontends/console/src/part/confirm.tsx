import { App } from 'antd';
import type { TFunction } from 'i18next';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { What } from '../app/unsaved';
import { useWords } from './failure';
import { Waiting } from './plain';

export type Words = string | (() => Promise<string>);

/** A question: what is about to happen, what it breaks, and what the button says. */
export type Asked = { title: Words; breaks: Words; action: string };

/** Asks before something is broken, and says what will be; what has to be counted first is counted while it asks. */
export function useConfirm() {
  const { modal, message } = App.useApp();
  const { t } = useTranslation();
  const say = useWords();
  return (what: Asked & { run: () => Promise<unknown> }) =>
    modal.confirm({
      title: said(what.title),
      content: said(what.breaks),
      okText: what.action,
      cancelText: t('form.cancel'),
      okButtonProps: { danger: true },
      autoFocusButton: 'cancel',
      onOk: () =>
        what.run().catch((error: Error) => {
          message.error(say(error));
        }),
    });
}

function said(words: Words) {
  return typeof words === 'string' ? words : <Counted words={words} />;
}

/** What is asked in front of whatever leads away from what was typed. */
export function leaving(t: TFunction, what: What = 'typed') {
  const shown = what === 'shown';
  return {
    title: t(shown ? 'secret.leave' : 'form.leave'),
    content: t(shown ? 'secret.leaveHint' : 'form.leaveHint'),
    okText: t(shown ? 'secret.leaveIt' : 'form.discard'),
    cancelText: t('form.stay'),
  };
}

function Counted({ words }: { words: () => Promise<string> }) {
  const say = useWords();
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    let here = true;
    words().then(
      (said) => here && setText(said),
      (failed: Error) => here && setError(failed),
    );
    return () => {
      here = false;
    };
  }, [words]);
  if (error) return <span role="alert">{say(error)}</span>;
  return text === null ? <Waiting /> : <span>{text}</span>;
}
