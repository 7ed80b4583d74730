// Filters that the address has and no field of the page shows: named, and each to be taken away.

import { useTranslation } from 'react-i18next';
import { type Kind, useName } from './name';
import { useFilter } from './query';

/** What a filter of the address names. */
const KINDS: Record<string, Kind> = {
  organization: 'organizations',
  group: 'groups',
  user: 'users',
  member: 'users',
  key: 'keys',
  channel: 'channels',
};

export function Chips({ of }: { of: string[] }) {
  const [filter, change] = useFilter();
  const set = of.filter((name) => filter[name]);
  if (set.length === 0) return null;
  return (
    <div className="row chips">
      {set.map((name) => (
        <Chip key={name} name={name} value={filter[name] ?? ''} clear={() => change({ [name]: undefined })} />
      ))}
    </div>
  );
}

function Chip({ name, value, clear }: { name: string; value: string; clear: () => void }) {
  const { t } = useTranslation();
  const kind = KINDS[name];
  const label = t(`chip.${name}`);
  return kind ? (
    <NamedChip kind={kind} label={label} value={value} clear={clear} />
  ) : (
    <Shown label={label} value={value} clear={clear} />
  );
}

function NamedChip({ kind, ...rest }: { kind: Kind; label: string; value: string; clear: () => void }) {
  const name = useName(kind);
  return <Shown {...rest} value={name(rest.value)} />;
}

function Shown({ label, value, clear }: { label: string; value: string; clear: () => void }) {
  const { t } = useTranslation();
  return (
    <span className="tag tag-main chip">
      {label}
      {t('why.colon')}
      {value}
      <button type="button" aria-label={t('chip.clear', { name: label })} onClick={clear}>
        ×
      </button>
    </span>
  );
}
