// What the tab knows of the data centre, and how it comes to know it.

import { path, query } from './api.js';
import { isOpen } from './format.js';

export const PAGE = 100;
const KEPT_FINISHED = 1000;
const REFRESH_MS = 200;
const REFRESH_AT_MOST_MS = 1000;

// Which lists a finished operation may have changed.
const TOUCHES = {
  create: ['volumes', 'alarms'], migrate: ['volumes', 'pools'],
  delete: ['volumes', 'trash', 'pools', 'alarms'], restore: ['volumes', 'trash', 'alarms'], purge: ['trash', 'pools'],
  snapshot: ['snapshots'], delete_snapshot: ['snapshots'], snapshot_group: ['snapshots'],
  manage_snapshot: ['snapshots'], unmanage_snapshot: ['snapshots'],
};

const LISTS = {
  volumes: { rule: 'volumes:list', read: (view) => `${path('volumes')}${query({ sort: 'name', search: view.search, limit: view.shown })}` },
  snapshots: { rule: 'snapshots:list', read: (view) => `${path('snapshots')}${query({ limit: view.shown })}` },
  trash: { rule: 'trash:list', read: (view) => `${path('trash')}${query({ limit: view.shown })}` },
  alarms: { rule: 'alarms:list', read: (view) => `${path('alarms')}${query({ limit: view.shown })}` },
  agents: { rule: 'agents:list', read: () => path('agents') },
  pools: { rule: 'pools:list', read: () => path('pools') },
  limits: { rule: 'limits:show', read: () => path('limits') },
  // Of changes that others make only these tell the name and what was asked.
  events: { rule: 'events:list', read: () => `${path('events')}${query({ limit: PAGE })}` },
};

const MOST = 1000;
// No change of the journal tells of these.
const POLLED = ['alarms', 'agents', 'pools', 'limits'];

export class Store {
  // onChange(): something is to be drawn anew.
  constructor(api, onChange) {
    this.api = api;
    this.onChange = onChange;
    this.onFinished = () => {};
    this.clear();
  }

  clear() {
    this.me = null;
    this.may = new Set();
    this.events = new Map();
    this.mine = new Set();
    this.names = new Map();
    this.lists = {};
    this.wanted = new Set();
    for (const name of Object.keys(LISTS)) {
      this.lists[name] = { items: [], whole: null, next: null, loaded: false, error: null, shown: PAGE, search: '', asked: 0, answered: 0 };
    }
    clearTimeout(this.timer);
    this.timer = null;
    this.refreshedAt = 0;
  }

  // Read everything; return the sequence from which to follow.
  async load() {
    this.me = await this.api.get('/v1/me');
    this.may = new Set(this.me.may);
    let sequence = 0;
    if (this.may.has('events:list')) {
      const recent = await this.api.get(`/v1/events?limit=${PAGE}`);
      sequence = recent.sequence;
      this.events.clear();
      this.learn(recent.events);
      const open = await this.api.get('/v1/events?state=waiting,running&limit=1000');
      this.learn(open.events);
    }
    await this.refresh(Object.keys(LISTS).filter((name) => name !== 'events'));
    return sequence;
  }

  learn(events) {
    for (const event of events) {
      const known = this.events.get(event.event_id);
      if (!known || known.sequence <= event.sequence || !known.parameters) {
        this.events.set(event.event_id, known && known.sequence > event.sequence ? { ...event, ...known } : event);
      }
      const name = event.parameters?.name;
      if (name && !this.names.has(event.volume_id)) this.names.set(event.volume_id, name);
    }
  }

  // Take over a transition; older ones than what is known change nothing.
  apply(transition) {
    const { occurred_at: at, result: _, ...rest } = transition;
    const known = this.events.get(rest.event_id);
    if (known && known.sequence >= rest.sequence) return;
    this.events.set(rest.event_id, { created_at: at, ...known, ...rest, updated_at: at });
    if (!known) this.want(['events']);
    if (!isOpen(rest)) {
      this.want(TOUCHES[rest.operation] ?? ['volumes']);
      if (this.mine.delete(rest.event_id)) this.onFinished(this.events.get(rest.event_id));
    }
    this.prune();
    this.onChange();
  }

  prune() {
    if (this.events.size < 2 * KEPT_FINISHED) return;
    const finished = [...this.events.values()].filter((one) => !isOpen(one)).sort((a, b) => a.sequence - b.sequence);
    for (const one of finished.slice(0, -KEPT_FINISHED)) this.events.delete(one.event_id);
  }

  // Have lists read anew soon, many wishes at once.
  want(names) {
    for (const name of names) this.wanted.add(name);
    if (this.timer) return;
    const wait = Math.max(REFRESH_MS, this.refreshedAt + REFRESH_AT_MOST_MS - Date.now());
    this.timer = setTimeout(() => {
      this.timer = null;
      const wanted = [...this.wanted];
      this.wanted.clear();
      this.refreshedAt = Date.now();
      this.refresh(wanted).catch(() => {});
    }, wait);
  }

  poll() {
    this.want(POLLED);
  }

  // Read lists anew. What is refused is kept as the list's error; throws
  // only if no answer came.
  async refresh(names) {
    const allowed = names.filter((name) => this.may.has(LISTS[name].rule));
    const results = await Promise.allSettled(allowed.map((name) => this.read(name)));
    this.onChange();
    const lost = results.find((one) => one.status === 'rejected' && !one.reason.status);
    if (lost) throw lost.reason;
  }

  async read(name) {
    const list = this.lists[name];
    const asked = LISTS[name].read(list);
    list.asked += 1;
    const turn = list.asked;
    try {
      const found = await this.api.get(asked);
      // Something else was asked for meanwhile, or a later answer was first.
      if (asked !== LISTS[name].read(list) || turn < list.answered) return;
      list.answered = turn;
      const key = name === 'limits' ? 'lanes' : name;
      Object.assign(list, { items: found[key], whole: found, next: found.next_marker ?? null, loaded: true, error: null });
      if (name === 'events') this.learn(found.events);
      if (name === 'volumes') for (const one of found.volumes) this.names.set(one.volume_id, one.name);
      if (name === 'trash') for (const one of found.trash) this.names.set(one.volume.volume_id, one.volume.name);
    } catch (error) {
      list.error = error;
      throw error;
    }
  }

  more(name) {
    const list = this.lists[name];
    list.shown = Math.min(list.shown + PAGE, MOST);
    return this.refresh([name]);
  }

  canShowMore(name) {
    const list = this.lists[name];
    return list.next !== null && list.shown < MOST;
  }

  nameOf(volumeId) {
    return this.names.get(volumeId) ?? '';
  }

  // The unfinished events, by volume; the one that runs, or is next.
  openByVolume() {
    const found = new Map();
    for (const event of this.events.values()) {
      if (!isOpen(event)) continue;
      const other = found.get(event.volume_id);
      if (!other || (event.state === 'running' && other.state !== 'running')
        || (event.state === other.state && event.created_at < other.created_at)) {
        found.set(event.volume_id, event);
      }
    }
    return found;
  }

  sortedEvents() {
    return [...this.events.values()].sort((a, b) => (
      b.created_at < a.created_at ? -1 : b.created_at > a.created_at ? 1 : b.sequence - a.sequence));
  }

  // An event that this tab has made: its end is announced.
  track(event) {
    this.mine.add(event.event_id);
    this.learn([event]);
    const known = this.events.get(event.event_id);
    if (known && !isOpen(known) && this.mine.delete(event.event_id)) this.onFinished(known);
    this.onChange();
  }
}
