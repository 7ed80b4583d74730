import { type ReactNode, useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { Inline } from './inline';

/** A page: its title, where it belongs, and what can be done on it. */
export function Page(props: {
  title: string;
  parent?: { to: string; name: string; state?: object };
  /** Who may call it otherwise does so in the title. */
  rename?: (name: string) => void;
  note?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  const { t } = useTranslation();
  useEffect(() => {
    document.title = `${props.title} · Sluicegate`;
  }, [props.title]);
  return (
    <>
      <div className="head">
        <div style={{ minWidth: 0 }}>
          {props.parent && (
            <Link to={props.parent.to} state={props.parent.state}>
              {'← '}
              {props.parent.name}
            </Link>
          )}
          <div className="titled">
            <h1 className="title">{props.title}</h1>
            {props.rename && (
              <Inline
                label={t('form.name')}
                value={props.title}
                change={(name) => name && props.rename?.(name)}
              />
            )}
          </div>
          {props.note && <div className="quiet">{props.note}</div>}
        </div>
        {props.actions && <div className="row">{props.actions}</div>}
      </div>
      {props.children}
    </>
  );
}
