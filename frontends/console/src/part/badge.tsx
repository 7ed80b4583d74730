import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { may, useMe } from '../app/session';
import { type Kind, TELLS, useName } from './name';
import { Tag } from './plain';

/** Whether something may be used. */
export function Standing({
  blocked,
  expires,
  now = Date.now(),
}: {
  blocked: boolean;
  expires?: number | null;
  now?: number;
}) {
  const { t } = useTranslation();
  if (blocked) return <Tag tone="bad">{t('state.blocked')}</Tag>;
  if (expires != null && expires <= now) return <Tag tone="warn">{t('state.expired')}</Tag>;
  return <Tag tone="good">{t('state.active')}</Tag>;
}

/** Of the configuration file, where it can only be changed there. */
export function FromFile({ source }: { source: 'file' | 'database' | undefined }) {
  const { t } = useTranslation();
  return source === 'file' ? <Tag title={t('state.fileHint')}>{t('state.file')}</Tag> : null;
}

export function Models({ models, most = 4 }: { models: string[]; most?: number }) {
  const { t } = useTranslation();
  if (models.length === 0) return <span>{t('state.everyModel')}</span>;
  return (
    <span className="row names" style={{ gap: 4 }}>
      {models.slice(0, most).map((model) => (
        <Tag key={model}>{model}</Tag>
      ))}
      {models.length > most && (
        <span title={models.slice(most).join(', ')}>{`+${models.length - most}`}</span>
      )}
    </span>
  );
}

export function Tags({ tags }: { tags: string[] | undefined }) {
  if (!tags?.length) return null;
  return (
    <span className="row names" style={{ gap: 4 }}>
      {tags.map((tag) => (
        <Tag key={tag}>{tag}</Tag>
      ))}
    </span>
  );
}

/** A thing by name, which leads to its page. */
export function Name({ to, name, id }: { to: string; name?: string | null; id: string }) {
  return (
    <span className="called">
      <Link to={`${to}/${encodeURIComponent(id)}`}>{name || id}</Link>
      {name && name !== id && (
        <span className="mono quiet cut" title={id} style={{ display: 'block', maxWidth: '12ch' }}>
          {id}
        </span>
      )}
    </span>
  );
}

/** A thing that is named by its id alone, by what it is called. */
export function Named({ of, id }: { of: Kind; id: string | null | undefined }) {
  const me = useMe();
  const name = useName(of);
  if (!id) return <span>–</span>;
  // Who may not see it isn't led there.
  const open = may(me, TELLS[of]);
  return open ? (
    <Link to={`/${of}/${encodeURIComponent(id)}`} title={id} className="called">
      {name(id)}
    </Link>
  ) : (
    <span title={id}>{name(id)}</span>
  );
}

/** Several groups by what they are called. */
export function GroupNames({ ids }: { ids: string[] }) {
  return (
    <span className="row" style={{ gap: '0 8px' }}>
      {ids.map((id) => (
        <Named key={id} of="groups" id={id} />
      ))}
    </span>
  );
}
