// The gateway and the scripted upstream as processes, each on a port and in a folder of its own.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const BIN = process.env.SLUICEGATE_BIN_DIR ?? resolve(import.meta.dirname, '../../../../target/debug');
const START_LIMIT_MS = 30_000;

export const MASTER_KEY = 'sk-master-0123456789abcdef0123456789abcdef';
export const UPSTREAM_KEY = 'sk-upstream-0123456789';

/** A process that has said where it listens. */
export type Running = { url: string; stop: () => Promise<void> };

/** Whatever ends the tests ends these, too: also where a world was never finished. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

function started(child: ChildProcess, where: RegExp, clean: () => void): Promise<Running> {
  let said = '';
  running.add(child);
  child.once('exit', () => running.delete(child));
  return new Promise((done, failed) => {
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      failed(new Error(`nothing listens after ${START_LIMIT_MS} ms: ${said}`));
    }, START_LIMIT_MS);
    const gone = new Promise<void>((ended) => child.once('exit', () => ended()));
    child.once('exit', (code) => {
      clearTimeout(late);
      failed(new Error(`ended with ${code}: ${said}`));
    });
    child.once('error', failed);
    const hear = (chunk: Buffer) => {
      said += chunk.toString();
      const address = where.exec(said)?.[1];
      if (!address) return;
      clearTimeout(late);
      const stop = async () => {
        child.stdin?.end();
        child.kill('SIGTERM');
        await gone;
        clean();
      };
      done({ url: address.startsWith('http') ? address : `http://${address}`, stop });
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  });
}

export function startUpstream(): Promise<Running> {
  const child = spawn(join(BIN, 'fake-upstream'), ['--key', UPSTREAM_KEY], { stdio: ['pipe', 'pipe', 'pipe'] });
  return started(child, /listening on (\S+)/, () => {});
}

/** A server of the tests' own, once it listens at a port that nobody else does. */
export async function listening(server: Server): Promise<Running> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
}

/** A port that nobody listens at. */
export async function freePort(): Promise<number> {
  const { url, stop } = await listening(createServer());
  await stop();
  return Number(new URL(url).port);
}

type Where = {
  /** Where its configuration and data are kept, also when it has ended. Else in a folder of its own, which goes with it. */
  folder?: string;
  env?: Record<string, string>;
  /** Where it listens, if that has to be known before. */
  port?: number;
};

/** The data of a gateway, in a folder of its own, with so many calls in its log and its sums. */
export function madeHistory(calls: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluicegate-console-'));
  mkdirSync(join(folder, 'data'), { mode: 0o700 });
  execFileSync(join(BIN, 'examples/made_history'), [join(folder, 'data/sluicegate.db'), String(calls)]);
  return folder;
}

/** A gateway that nobody administers yet, unless `folder` has one's data. */
export function startGateway(
  config = 'version: 1\nserver: {demo_channel: false}\n',
  { folder: kept, env, port = 0 }: Where = {},
): Promise<Running> {
  const folder = kept ?? mkdtempSync(join(tmpdir(), 'sluicegate-console-'));
  writeFileSync(join(folder, 'config.yaml'), config);
  const words = ['serve', '--config', join(folder, 'config.yaml'), '--host', '127.0.0.1', '--port', String(port)];
  const child = spawn(join(BIN, 'sluicegate'), [...words, '--data', join(folder, 'data')], {
    cwd: folder,
    env: { HOME: folder, SLUICEGATE_MASTER_KEY: MASTER_KEY, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const clean = () => kept ?? rmSync(folder, { recursive: true, force: true });
  return started(child, /listens on (http:\S+)/, clean);
}
