// Whether what things are called is still being read.

import { useIsFetching } from '@tanstack/react-query';
import { useName } from './name';

/** Rows that are painted before it is known change their heights once it is: a list that names many kinds waits for it. */
export function useNaming(): boolean {
  useName('keys');
  useName('groups');
  useName('users');
  useName('channels');
  useName('organizations');
  const first = (it: { queryKey: readonly unknown[]; state: { data: unknown } }) =>
    it.queryKey[1] === 'names' && it.state.data === undefined;
  return useIsFetching({ predicate: first }) > 0;
}
