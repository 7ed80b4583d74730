// The first script, small enough to run before the others are read: it asks the server what the first page will show, and the browser
// for the pieces that page is made of.

import { askEarly } from './api/early';
import { paint } from './app/colour';
import { load } from './app/language_file';
import { frame, overview, ready } from './app/page';
import { preferred, zoneOf } from './app/preferred';
import { budgetQuestion, daysOf, overviewQuestion } from './part/overview_question';
import './plain.css';
import './frame.css';
import './style.css';

const preference = preferred();
const { pathname, search } = location;

paint(
  preference.colours === 'dark' ||
    (preference.colours === 'system' && matchMedia('(prefers-color-scheme: dark)').matches),
);
void load[preference.language]();
askEarly('/api/v1/session');
if (pathname === '/' || pathname === '/overview') {
  const days = daysOf(new URLSearchParams(search).get('days'));
  askEarly(`/api/v1/reports/overview?${new URLSearchParams(overviewQuestion(days, zoneOf(preference)))}`);
  askEarly(`/api/v1/reports/budgets?${new URLSearchParams(budgetQuestion)}`);
  void frame();
  void overview();
} else if (pathname !== '/login' && pathname !== '/setup') {
  void frame();
  ready(pathname);
}
void import('./main');
