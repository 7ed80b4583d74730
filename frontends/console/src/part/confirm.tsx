import { App } from 'antd';
import { useTranslation } from 'react-i18next';

/** Asks before something is broken, and says what will be. */
export function useConfirm() {
  const { modal, message } = App.useApp();
  const { t } = useTranslation();
  return (what: { title: string; breaks: string; action: string; run: () => Promise<unknown> }) =>
    modal.confirm({
      title: what.title,
      content: what.breaks,
      okText: what.action,
      cancelText: t('form.cancel'),
      okButtonProps: { danger: true },
      autoFocusButton: 'cancel',
      onOk: () =>
        what.run().catch((error: Error) => {
          message.error(error.message);
        }),
    });
}
