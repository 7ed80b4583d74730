// Who did something, and to what, as the trail writes them: their kind and their id.

import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { Named } from './badge';
import type { Kind } from './name';

const KINDS: Record<string, Kind> = {
  key: 'keys',
  group: 'groups',
  user: 'users',
  channel: 'channels',
  organization: 'organizations',
};

/** Who or what has no name beside its kind. */
const ALONE: Record<string, string> = {
  'master key': 'audit.kind.master',
  'all channels': 'audit.kind.channels',
  gateway: 'audit.kind.gateway',
  registration: 'audit.kind.registration',
  start: 'audit.kind.start',
  unknown: 'audit.kind.unknown',
};

/** What is called by the name behind its kind. */
const CALLED: [string, string][] = [
  ['access group ', 'audit.kind.access_group'],
  ['budget ', 'audit.kind.budget'],
  ['credential ', 'audit.kind.credential'],
  ['customer ', 'audit.kind.customer'],
  ['issuer ', 'audit.kind.issuer'],
  ['model ', 'audit.kind.model'],
  ['tag ', 'audit.kind.tag'],
];

/** What `kind id` stands for, where that is a thing with a name. */
export function thing(of: string): { kind: string; of: Kind; id: string } | undefined {
  const [kind = '', id] = of.split(/ (.*)/s);
  const named = KINDS[kind];
  return named && id ? { kind, of: named, id } : undefined;
}

export function Thing({ of }: { of: string | null | undefined }) {
  const { t } = useTranslation();
  if (!of) return <span>–</span>;
  const it = thing(of);
  if (!it) return <Other of={of} />;
  return (
    <span>
      {t(`usage.dimension.${it.kind}`)} <Named of={it.of} id={it.id} />
    </span>
  );
}

/** What has no page of its own, or is called by its name. */
function Other({ of }: { of: string }) {
  const { t } = useTranslation();
  const [kind = '', id = ''] = of.split(/ (.*)/s);
  const alone = ALONE[of];
  if (alone) return <span>{t(alone)}</span>;
  if (kind === 'policy' && id) {
    return (
      <span>
        {t('audit.kind.policy')}{' '}
        <Link className="called" to={`/policies/${encodeURIComponent(id)}`}>
          {id}
        </Link>
      </span>
    );
  }
  if ((kind === 'session' || kind === 'token') && id) {
    return <span title={id}>{`${t(`audit.kind.${kind}`)}\u00a0…\u2060${id.slice(-4)}`}</span>;
  }
  const [before, word] = CALLED.find(([before]) => of.startsWith(before)) ?? [];
  return <span className="called">{before && word ? `${t(word)} ${of.slice(before.length)}` : of}</span>;
}

/** The same of who did it: that it is a user goes without saying. */
export function Author({ of }: { of: string | null | undefined }) {
  const it = of ? thing(of) : undefined;
  return it?.of === 'users' ? <Named of="users" id={it.id} /> : <Thing of={of} />;
}
