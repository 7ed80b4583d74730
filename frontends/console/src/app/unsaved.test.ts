import { expect, test } from 'vitest';
import { giveUp, hold, holds, loses, what } from './unsaved';

const here = { pathname: '/keys', search: '?create=1' };

test('what was typed is lost on the way elsewhere, until it is saved or given up', () => {
  const saved = hold(Symbol());
  expect(holds()).toBe(true);
  expect(loses(here, { pathname: '/groups', search: '' })).toBe(true);
  expect(loses(here, { pathname: '/keys', search: '' })).toBe(true);
  expect(loses(here, here)).toBe(false);
  saved();
  expect(holds()).toBe(false);
  expect(loses(here, { pathname: '/groups', search: '' })).toBe(false);
});

test('a page says itself which ways lose it', () => {
  hold(Symbol(), (from, to) => from.pathname !== to.pathname);
  expect(loses(here, { pathname: '/keys', search: '?tab=versions' })).toBe(false);
  expect(loses(here, { pathname: '/keys/1', search: '' })).toBe(true);
  giveUp();
  expect(holds()).toBe(false);
});

test('what is shown once weighs more than what was typed', () => {
  const [typed, shown] = [hold(Symbol()), hold(Symbol(), undefined, 'shown')];
  expect(what()).toBe('shown');
  shown();
  expect(what()).toBe('typed');
  typed();
});
