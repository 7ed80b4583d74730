// The gateway's API as a program calls it.

import { MASTER_KEY } from './process.ts';

// biome-ignore lint/suspicious/noExplicitAny: answers are read where a test knows what is in them
export type Json = any;

export class Api {
  constructor(
    readonly url: string,
    readonly key = MASTER_KEY,
  ) {}

  async ask(method: string, path: string, body?: unknown): Promise<{ status: number; json: Json }> {
    const answer = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.key}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, json: text ? JSON.parse(text) : null };
  }

  async get(path: string): Promise<Json> {
    return this.well('GET', path);
  }

  async post(path: string, body: unknown): Promise<Json> {
    return this.well('POST', path, body);
  }

  async put(path: string, body: unknown): Promise<Json> {
    return this.well('PUT', path, body);
  }

  private async well(method: string, path: string, body?: unknown): Promise<Json> {
    const { status, json } = await this.ask(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(json)}`);
    return json;
  }

  /** One chat call. */
  chat(model: string, content: string, more: object = {}) {
    const messages = [{ role: 'user', content }];
    return this.ask('POST', '/v1/chat/completions', { model, max_tokens: 20, messages, ...more });
  }
}
