// What there is to say about the configuration file, less what has been seen to since outside of it.

import type { Schemas } from '../api/client';

type Finding = Pick<Schemas['Diagnostic'], 'code' | 'message'>;
type Served = Pick<Schemas['Model'], 'name' | 'enabled_channels'>;

/** Findings that hold where these models are served. The file's alone are known where they are made. */
export function holding<T extends Finding>(findings: T[], models: Served[]): T[] {
  const served = models.filter((it) => it.enabled_channels > 0).map((it) => it.name);
  const serves = (model: string) =>
    served.some((it) => it === model || (it.endsWith('*') && model.startsWith(it.slice(0, -1))));
  return findings.filter((it) => {
    const model = it.code === 'unknown_model' && /^no channel of this file serves `(.+?)`: /.exec(it.message);
    const empty = it.code === 'no_models' && it.message.startsWith('the file is empty: ');
    return !(model && serves(model[1] ?? '')) && !(empty && served.length > 0);
  });
}
