import { expect, test } from 'vitest';
import { branches, type Reason } from './explanation';

const steps = (names: string[]): Reason[] => names.map((step) => ({ step }));

test.each([
  [[], []],
  // What follows one another of one kind is one knot; a limit that was asked for the second attempt isn't one of the first's.
  [
    [
      'model',
      'policy',
      'excluded',
      'ranked',
      'ranked',
      'limit',
      'limit',
      'attempt',
      'excluded',
      'limit',
      'attempt',
    ],
    ['model', 'step 1', 'candidates 3', 'limits 2', 'step 1', 'candidates 1', 'limits 1', 'step 1'],
  ],
  // Scripts that run one after the other aren't one.
  [
    ['policy', 'policy', 'model', 'ranked'],
    ['–', 'step 1', 'step 1', 'model', 'candidates 1'],
  ],
  [
    ['model', 'limit', 'model', 'limit'],
    ['model', 'limits 1', 'model', 'limits 1'],
  ],
])('%j', (names, want) => {
  const told = branches(steps(names)).flatMap((it) => [
    it.model?.step ?? '–',
    ...it.parts.map((part) => `${part.kind} ${part.steps.length}`),
  ]);
  expect(told).toEqual(want);
});
