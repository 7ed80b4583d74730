// Names of models as lists say them.

/** Whether a name, or one that ends in `*`, stands for this model. */
export function isFor(pattern: string, model: string): boolean {
  return pattern.endsWith('*') ? model.startsWith(pattern.slice(0, -1)) : pattern === model;
}
