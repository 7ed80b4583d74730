// Who is signed in, and what they may do. The server decides; the console only leaves out what it would refuse.

import { useQuery } from '@tanstack/react-query';
import { ApiError, api, kept, queries, type Schemas, SESSION, take, waysIn } from '../api/client';
import { giveUp, setOver } from './unsaved';

export type Role = Schemas['Me']['role'];
export type Me = Schemas['Me'];

async function read(): Promise<Schemas['Signed'] | null> {
  try {
    return await take(api.GET('/api/v1/session'));
  } catch (error) {
    if (error instanceof ApiError && (error.status === 401 || error.status === 403)) return kept();
    throw error;
  }
}

export function useSession() {
  return useQuery({ queryKey: SESSION, queryFn: read, staleTime: 60_000 });
}

export function useWaysIn() {
  return useQuery({ queryKey: ['ways-in'], queryFn: waysIn, staleTime: Number.POSITIVE_INFINITY });
}

/** Who is asking. Only for pages that stand behind the sign-in. */
export function useMe(): Me {
  const { data } = useSession();
  // A page that is about to be left for the sign-in page still renders once.
  return data?.me ?? { name: '', role: 'user', groups: [], administers: [] };
}

const ADMINISTERS: Role[] = ['super_admin', 'organization_admin', 'group_admin'];

export type Right = 'super' | 'organization' | 'organizations' | 'administer' | 'write' | 'readAll' | 'any';

/** Whether somebody may, as far as the role says. */
export function may(me: Me, right: Right): boolean {
  switch (right) {
    case 'super':
      return me.role === 'super_admin';
    case 'organization':
      return me.role === 'super_admin' || me.role === 'organization_admin';
    case 'organizations':
      return me.role === 'super_admin' || me.role === 'organization_admin' || me.role === 'auditor';
    case 'administer':
      return ADMINISTERS.includes(me.role) || me.administers.length > 0;
    case 'write':
      return me.role !== 'auditor';
    case 'readAll':
      return ADMINISTERS.includes(me.role) || me.role === 'auditor' || me.administers.length > 0;
    default:
      return true;
  }
}

export async function signOut(): Promise<void> {
  await take(api.DELETE('/api/v1/session'));
  giveUp();
  setOver(false);
  queries.clear();
  queries.setQueryData(SESSION, null);
}
