import { useTranslation } from 'react-i18next';
import { ApiError } from '../api/client';
import { useFormat } from './format';
import { meaning } from './meaning';
import { Push } from './plain';
import { localTimes } from './time';

type Props = {
  error: Error | null | undefined;
  again?: () => void;
  /** What it means here, where the page knows better than the server's word for it. */
  meaning?: string;
};

/** The same in one line, for beside a field. */
export function useWords(): (error: Error) => string {
  const { t, i18n } = useTranslation();
  const { time } = useFormat();
  return (error) => {
    const said = localTimes(error.message, time);
    if (!(error instanceof ApiError)) return said;
    if (error.over) return t('again.failed');
    if (error.status === 0) return t('failure.unreachable');
    const known = i18n.language === 'en' ? undefined : meaning(t, error);
    if (!known) return said;
    const text = localTimes(known.text, time);
    return known.whole ? text : `${text} ${said}`;
  };
}

/** What went wrong, in the server's words, and what can be done. Nothing where nothing did. */
export function Failure({ error, again, meaning: here }: Props) {
  const { t, i18n } = useTranslation();
  const format = useFormat();
  if (!error) return null;
  const api = error instanceof ApiError ? error : null;
  if (api?.over) {
    return (
      <div className="notice notice-bad" role="alert">
        {t('again.failed')}
      </div>
    );
  }
  const said = localTimes(error.message, format.time);
  // The server speaks English. In another language what kind of failure it is comes first, and its words behind that.
  const known = api && i18n.language !== 'en' ? meaning(t, api) : undefined;
  const kind = i18n.language === 'en' ? '' : (here ?? localTimes(known?.text ?? '', format.time));
  const title = api?.status === 0 ? t('failure.unreachable') : kind || said;
  const more = [
    kind && api?.status !== 0 && !(known?.whole && !here) ? said : '',
    api?.status === 0 ? t('failure.unreachableHint') : '',
    api?.retryAfter
      ? api.retryAfter < 120
        ? t('failure.retryAfter', { count: api.retryAfter })
        : t('failure.retryIn', { length: format.duration(api.retryAfter * 1000) })
      : '',
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
