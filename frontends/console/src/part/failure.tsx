import { useTranslation } from 'react-i18next';
import { ApiError } from '../api/client';
import { meaning } from './meaning';
import { Push } from './plain';

type Props = {
  error: Error | null | undefined;
  again?: () => void;
  /** What it means here, where the page knows better than the server's word for it. */
  meaning?: string;
};

/** The same in one line, for beside a field. */
export function useWords(): (error: Error) => string {
  const { t, i18n } = useTranslation();
  return (error) => {
    if (!(error instanceof ApiError)) return error.message;
    if (error.over) return t('again.failed');
    if (error.status === 0) return t('failure.unreachable');
    const known = i18n.language === 'en' ? undefined : meaning(t, error);
    if (!known) return error.message;
    return known.whole ? known.text : `${known.text} ${error.message}`;
  };
}

/** What went wrong, in the server's words, and what can be done. Nothing where nothing did. */
export function Failure({ error, again, meaning: here }: Props) {
  const { t, i18n } = useTranslation();
  if (!error) return null;
  const api = error instanceof ApiError ? error : null;
  if (api?.over) {
    return (
      <div className="notice notice-bad" role="alert">
        {t('again.failed')}
      </div>
    );
  }
  // The server speaks English. In another language what kind of failure it is comes first, and its words behind that.
  const known = api && i18n.language !== 'en' ? meaning(t, api) : undefined;
  const kind = i18n.language === 'en' ? '' : (here ?? known?.text ?? '');
  const title = api?.status === 0 ? t('failure.unreachable') : kind || error.message;
  const more = [
    kind && api?.status !== 0 && !(known?.whole && !here) ? error.message : '',
    api?.status === 0 ? t('failure.unreachableHint') : '',
    api?.retryAfter ? t('failure.retryAfter', { count: api.retryAfter }) : '',
    api?.status === 412 ? t('failure.changedMeanwhile') : '',
  ].filter(Boolean);
  return (
    <div className="notice notice-bad" role="alert">
      <div style={{ flex: 1, minWidth: 0 }}>
        {title}
        {more.length > 0 && <div className="quiet">{more.join(' ')}</div>}
      </div>
      {again && api?.status !== 403 && api?.status !== 404 && (
        <Push onClick={again}>{t('boundary.again')}</Push>
      )}
    </div>
  );
}
