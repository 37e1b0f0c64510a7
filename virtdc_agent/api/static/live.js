// Follows the journal's changes: one connection per tab.
//
// By a stream (server-sent events, read by fetch, which can send a header),
// else by long poll, else by asking every few seconds. The sequence is what
// makes it whole: wherever a connection broke, the next goes on from there.

import { Problem } from './api.js';

const SILENCE_MS = 40000; // the server speaks every 15 s
const WAIT_S = 25;
const ASK_MS = 2500;
const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 10000;

export class Live {
  // onChange(transition), onState({word, mode, dataAt, retryAt}), onReset():
  // read everything anew, returns the sequence to go on from.
  constructor(api, { onChange, onState, onReset }) {
    this.api = api;
    this.onChange = onChange;
    this.onState = onState;
    this.onReset = onReset;
    this.after = 0;
    this.mode = 'stream';
    this.word = '';
    this.dataAt = Date.now();
    this.running = false;
    this.runs = 0;
    this.stopper = new AbortController();
    this.wake = () => {};
    document.addEventListener('visibilitychange', () => this.seen());
  }

  start(after) {
    this.after = after;
    this.dataAt = Date.now();
    if (this.running) return;
    this.running = true;
    this.run();
  }

  stop() {
    this.running = false;
    this.interrupt();
  }

  // Try at once rather than when it is time.
  retry() {
    this.wake();
  }

  seen() {
    if (document.hidden) this.interrupt();
    else this.wake();
  }

  interrupt() {
    this.stopper.abort();
    this.wake();
  }

  tell(word, more = {}) {
    this.word = word;
    this.onState({ word, mode: this.mode, dataAt: this.dataAt, ...more });
  }

  sleep(ms) {
    return new Promise((done) => {
      const timer = setTimeout(done, ms);
      this.wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }

  heard() {
    this.dataAt = Date.now();
    if (this.word !== 'live' && this.running && !document.hidden) this.tell('live');
  }

  async run() {
    // One that was stopped and has not noticed yet must not go on beside.
    this.runs += 1;
    const run = this.runs;
    let failures = 0;
    let stale = false;
    while (this.running && run === this.runs) {
      if (document.hidden) {
        this.tell('paused');
        await this.sleep(3600000);
        stale = true;
        continue;
      }
      this.stopper = new AbortController();
      const begun = Date.now();
      try {
        if (stale) {
          this.after = await this.onReset();
          stale = false;
        }
        failures = 0;
        if (this.mode === 'stream') await this.stream();
        else await this.poll();
        // One that ends at once, again and again, must not spin.
        if (this.mode === 'stream' && Date.now() - begun < 300) await this.sleep(ASK_MS);
      } catch (error) {
        if (!this.running || document.hidden) continue;
        if (error instanceof Problem && error.status === 401) return this.stop();
        if (error instanceof Problem && error.status < 500 && error.status !== 429) {
          stale = error.status === 410;
          if (error.status === 404) this.mode = 'poll';
          else if (!stale) await this.sleep(ASK_MS);
          continue;
        }
        if (error instanceof Problem && error.code === 'too-many-watchers') {
          this.mode = this.mode === 'stream' ? 'poll' : 'ask';
          continue;
        }
        failures += 1;
        stale = true;
        const wait = Math.max(
          Math.min(FIRST_BACKOFF_MS * 2 ** (failures - 1), MAX_BACKOFF_MS),
          (error.retryAfterS ?? 0) * 1000,
        );
        this.tell('disconnected', { retryAt: Date.now() + wait });
        await this.sleep(wait);
      }
    }
  }

  async stream() {
    const response = await this.api.open('GET', `/v1/stream?after=${this.after}`, {
      headers: { Accept: 'text/event-stream' }, signal: this.stopper.signal,
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let silent = false;
    let timer;
    const watch = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        silent = true;
        this.stopper.abort();
      }, SILENCE_MS);
    };
    let text = '';
    try {
      for (;;) {
        watch();
        const { done, value } = await reader.read();
        if (done) return;
        this.heard();
        text += value;
        const parts = text.split('\n\n');
        text = parts.pop();
        for (const part of parts) await this.take(part);
      }
    } finally {
      clearTimeout(timer);
      // Something between us keeps what it should pass on.
      if (silent) this.mode = 'poll';
      reader.cancel().catch(() => {});
    }
  }

  async take(part) {
    const fields = {};
    for (const line of part.split('\n')) {
      const at = line.indexOf(':');
      if (at > 0) fields[line.slice(0, at)] = line.slice(at + 1).trimStart();
    }
    if (fields.event === 'gone') this.after = await this.onReset();
    else if (fields.event === 'transition') this.onChange(JSON.parse(fields.data));
    if (fields.id && fields.event !== 'gone') this.after = Number(fields.id);
  }

  async poll() {
    // The first answer comes at once, and says that there is a connection.
    const wait = this.mode === 'poll' && this.word === 'live' ? WAIT_S : 0;
    const found = await this.api.get(`/v1/changes?after=${this.after}&wait=${wait}&limit=500`, {
      signal: AbortSignal.any([this.stopper.signal, AbortSignal.timeout(SILENCE_MS)]),
    });
    this.heard();
    for (const transition of found.changes) this.onChange(transition);
    this.after = found.next_after;
    if (this.mode === 'ask' && found.next_after >= found.last) await this.sleep(ASK_MS);
  }
}
