// Asks the agent's REST API.
//
// The token is kept in this tab (sessionStorage) and sent as a header: never
// in an address, never by itself, so that no other page can have a browser
// ask in our name. It goes with the tab.

import { setServerTime } from './format.js';

const KEPT = 'virtdc.token';
const TIMEOUT_MS = 30000;

// The agent has refused; says what it said.
export class Problem extends Error {
  constructor(status, body, headers) {
    super(body.detail ?? `The agent answered ${status}.`);
    this.status = status;
    this.code = body.code ?? '';
    this.errors = Array.isArray(body.errors) ? body.errors : [];
    this.requestId = body.request_id ?? headers.get('X-OpenStack-Request-ID') ?? '';
    this.retryAfterS = Number(headers.get('Retry-After')) || 0;
    this.challenge = headers.get('WWW-Authenticate') ?? '';
  }
}

// No answer came.
export class Unreachable extends Error {
  constructor() {
    super('The agent cannot be reached. Nothing is known of what became of this request; it is safe to try again.');
  }
}

export class Api {
  constructor() {
    this.token = sessionStorage.getItem(KEPT);
    this.onUnauthenticated = () => {};
  }

  signIn(token) {
    this.token = token;
    sessionStorage.setItem(KEPT, token);
  }

  signOut() {
    this.token = null;
    sessionStorage.removeItem(KEPT);
  }

  // Return the answer's body; throws Problem or Unreachable.
  async ask(method, path, { body, headers = {}, signal } = {}) {
    const response = await this.open(method, path, {
      body, headers, signal: signal ?? AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status === 204) return null;
    try {
      const found = await response.json();
      return found;
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Unreachable();
    }
  }

  get(path, options) {
    return this.ask('GET', path, options);
  }

  // Return the response, unread; throws likewise.
  async open(method, path, { body, headers = {}, signal } = {}) {
    const sent = { Accept: 'application/json', ...headers };
    if (this.token) sent['X-Auth-Token'] = this.token;
    if (body !== undefined) sent['Content-Type'] = 'application/json';
    let response;
    try {
      response = await fetch(path, {
        method,
        headers: sent,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal,
        cache: 'no-store',
        credentials: 'omit',
        redirect: 'error',
      });
    } catch (error) {
      if (signal?.aborted && signal.reason?.name === 'AbortError') throw error;
      throw new Unreachable();
    }
    setServerTime(response.headers.get('Date'));
    if (response.ok) return response;
    const told = await response.json().catch(() => ({}));
    const problem = new Problem(response.status, told, response.headers);
    if (response.status === 401) this.onUnauthenticated(problem);
    throw problem;
  }
}

// The name of a request, so that sending it twice does it once.
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function path(...parts) {
  return `/v1/${parts.map(encodeURIComponent).join('/')}`;
}

export function query(values) {
  const wanted = Object.entries(values).filter(([, value]) => value !== '' && value !== null && value !== undefined);
  return wanted.length ? `?${new URLSearchParams(wanted)}` : '';
}
