import { Typography } from 'antd';
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
          <Typography.Title level={1} style={{ fontSize: 24, margin: 0, overflowWrap: 'anywhere' }}>
            {props.title}
          </Typography.Title>
          {props.note && <Typography.Text type="secondary">{props.note}</Typography.Text>}
        </div>
        {props.actions && <div className="row">{props.actions}</div>}
      </div>
      {props.children}
    </>
  );
}
