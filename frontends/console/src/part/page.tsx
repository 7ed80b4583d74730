import { type ReactNode, useEffect } from 'react';
import { Link } from 'react-router';

/** A page: its title, where it belongs, and what can be done on it. */
export function Page(props: {
  title: string;
  parent?: { to: string; name: string };
  note?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  useEffect(() => {
    document.title = `${props.title} · Sluicegate`;
  }, [props.title]);
  return (
    <>
      <div className="head">
        <div style={{ minWidth: 0 }}>
          {props.parent && (
            <Link to={props.parent.to}>
              {'← '}
              {props.parent.name}
            </Link>
          )}
          <h1 className="title">{props.title}</h1>
          {props.note && <div className="quiet">{props.note}</div>}
        </div>
        {props.actions && <div className="row">{props.actions}</div>}
      </div>
      {props.children}
    </>
  );
}
