// The view of events, one event in detail, and the strip of recent tasks.

import { path, query } from './api.js';
import { button, byId, draw, drawRows, h, said, table } from './dom.js';
import { failed, openForm, openPage, toast } from './dialogs.js';
import {
  absolute, detail, duration, isOpen, now, operation, ORIGINS, progress, reason, shortId, state, time,
} from './format.js';
import { onceSender } from './wishes.js';

const RECENT_MS = 10 * 60 * 1000;
const RECENT = 50;
const SHOWN = 100;
const NOT_AGAIN = ['connect', 'disconnect'];

export const who = (event) => event.requested_by.user_id || 'unknown';

const subject = (store, event) => store.nameOf(event.volume_id) || event.volume_id;

function choice(label, values) {
  return h('select', { 'aria-label': label }, h('option', { value: '' }, label),
    values.map(([value, word]) => h('option', { value }, word)));
}

export class Events {
  constructor(api, store) {
    this.api = api;
    this.store = store;
    this.title = 'Events';
    this.rule = 'events:list';
    this.shown = SHOWN;
    this.next = null;
    this.state = choice('Any state', ['waiting', 'running', 'success', 'failed'].map((one) => [one, one]));
    this.origin = choice('Any origin', Object.entries(ORIGINS));
    this.search = h('input', { type: 'search', placeholder: 'Volume or who', 'aria-label': 'Search events shown by volume or person' });
    this.table = table('Events, newest first', [
      { title: 'Age' }, { title: 'Operation' }, { title: 'Volume' }, { title: 'State' }, { title: 'Progress' },
      { title: 'Origin' }, { title: 'Who' }, { title: 'Detail' }, { title: 'Actions', quiet: true },
    ]);
    this.note = h('div');
    this.foot = h('div', { class: 'foot' });
    this.element = h('section', { 'aria-label': 'Events' },
      h('div', { class: 'tools' }, this.search, this.state, this.origin), this.table.element, this.note, this.foot);
    for (const input of [this.state, this.origin]) input.addEventListener('change', () => this.find(null).catch(failed));
    this.search.addEventListener('input', () => this.draw());
  }

  // Have the events that the filter wants, from a marker on.
  async find(marker) {
    if (!marker) this.shown = SHOWN;
    const found = await this.api.get(`${path('events')}${query({
      state: this.state.value, origin: this.origin.value, limit: SHOWN, marker })}`);
    this.next = found.next_marker;
    this.asked = true;
    this.store.learn(found.events);
    if (marker) this.shown += found.events.length;
    this.draw();
  }

  entered() {
    this.find(null).catch(failed);
  }

  matching() {
    const wanted = this.search.value.trim().toLowerCase();
    return this.store.sortedEvents().filter((event) => (
      (!this.state.value || event.state === this.state.value)
      && (!this.origin.value || event.origin === this.origin.value)
      && (!wanted || `${subject(this.store, event)}\n${event.volume_id}\n${who(event)}`.toLowerCase().includes(wanted))));
  }

  draw() {
    const found = this.matching();
    drawRows(this.table.body, found.slice(0, this.shown).map((event) => this.row(event)));
    draw(this.note, found.length ? null : h('p', { class: 'empty' }, this.store.events.size
      ? 'No event is as you asked.' : 'Nothing has happened yet. Every change, from here or from the cloud, is an event.'));
    draw(this.foot, this.next || found.length > this.shown ? button('Show older', 'events-older') : null);
  }

  row(event) {
    const key = event.event_id;
    const { may } = this.store;
    const what = `${operation(event.operation)} of ${subject(this.store, event)}`;
    return {
      key,
      class: event.state,
      cells: [
        h('td', {}, time(event.created_at)),
        h('td', {}, button(operation(event.operation), 'event-show', { key, class: 'link', 'aria-label': `Details: ${what}` })),
        h('td', {}, said(subject(this.store, event), { class: 'name clip', title: event.volume_id })),
        h('td', {}, state(event)),
        h('td', {}, progress(event, what) ?? h('span', { class: 'quiet' }, isOpen(event) ? 'queued' : took(event))),
        h('td', { class: 'nowrap' }, ORIGINS[event.origin] ?? event.origin),
        h('td', {}, said(who(event), { class: 'clip' })),
        h('td', { class: 'detail' }, detail(event)),
        h('td', { class: 'actions' },
          isOpen(event) && may.has('events:cancel') && button('Cancel', 'event-cancel', {
            key, why: event.is_cancel_requested ? 'it is being cancelled' : '', 'aria-label': `Cancel ${what}` }),
          event.state === 'failed' && may.has('events:retry') && !NOT_AGAIN.includes(event.operation)
            && button('Retry', 'event-retry', { key, 'aria-label': `Retry ${what}` })),
      ],
    };
  }

  async act(action, key) {
    const event = this.store.events.get(key);
    switch (action) {
      case 'events-older':
        if (this.matching().length > this.shown) {
          this.shown += SHOWN;
          this.draw();
        } else await this.find(this.next);
        break;
      case 'event-show':
        await this.show(key);
        break;
      case 'event-cancel':
        this.askCancel(event);
        break;
      default:
        await onceSender(this.api, this.store)('POST', path('events', key, 'retry'));
        toast(`Asked again: ${operation(event.operation)} of ${subject(this.store, event)}.`);
    }
  }

  askCancel(event) {
    openForm({
      title: `Cancel this ${operation(event.operation)}?`, submit: 'Cancel it', danger: true,
      body: [h('p', {}, said(subject(this.store, event), { class: 'literal' })),
        h('p', { class: 'hint' }, event.state === 'running'
          ? 'It runs already: it is interrupted, and what it has made is taken away.' : 'It has not begun: nothing will be done.')],
      send: async () => this.store.learn([await this.api.ask('POST', path('events', event.event_id, 'cancel'))]),
    });
  }

  async show(key) {
    const event = await this.api.get(path('events', key));
    const rows = [
      ['Volume', [said(this.store.nameOf(event.volume_id)), ' ', h('code', {}, event.volume_id)]],
      ['State', [state(event), ' ', progress(event, 'Progress')]],
      event.message || event.reason ? ['Why', detail(event)] : null,
      event.queue ? ['Queue', event.queue.ahead ? `${event.queue.ahead}${event.queue.is_exact ? '' : ' or more'} ahead` : 'next'] : null,
      ['Asked by', [said(who(event)), ` (${ORIGINS[event.origin]})`]],
      event.requested_by.project_id ? ['Project', h('code', {}, event.requested_by.project_id)] : null,
      ['Executed by', event.agent ? said(event.agent) : 'no agent yet'],
      event.requested_by.request_id ? ['Request', h('code', {}, event.requested_by.request_id)] : null,
      ['Event', h('code', {}, event.event_id)],
      event.retry_of ? ['Retry of', button(event.retry_of, 'event-show', { key: event.retry_of, class: 'link', 'aria-label': `Details of the event that failed, ${event.retry_of}` })] : null,
    ].filter(Boolean);
    const parameters = Object.entries(event.parameters).filter(([, value]) => value !== null && value !== '');
    openPage(operation(event.operation), [
      h('dl', {}, rows.map(([word, value]) => [h('dt', {}, word), h('dd', {}, value)])),
      h('h3', {}, 'History'), h('ol', { class: 'history' }, history(event)),
      parameters.length ? [h('h3', {}, 'Parameters'), h('dl', {}, parameters.map(([word, value]) => [
        h('dt', {}, word), h('dd', {}, said(typeof value === 'string' ? value : JSON.stringify(value)))]))] : null,
    ].flat());
  }
}

function took(event) {
  const seconds = (Date.parse(event.updated_at) - Date.parse(event.created_at)) / 1000;
  return Number.isFinite(seconds) ? `took ${duration(seconds)}` : '';
}

// The states that an event went through, with how long each lasted.
function history(event) {
  const steps = event.history.filter((one, at, all) => !at || one.state !== all[at - 1].state || one.attempt !== all[at - 1].attempt);
  return steps.map((one, at) => {
    const until = steps[at + 1]?.occurred_at;
    const end = until ? Date.parse(until) : isOpen(one) ? now() : null;
    return h('li', {}, state(one), ' ', absolute(one.occurred_at),
      end ? h('span', { class: 'quiet' }, ` for ${duration((end - Date.parse(one.occurred_at)) / 1000)}`) : null,
      one.reason ? h('span', {}, ` – ${reason(one.reason)}`) : null);
  });
}

// What happened in the last minutes, whoever asked, on every view.
export function drawTasks(store) {
  const since = now() - RECENT_MS;
  const found = store.sortedEvents()
    .filter((event) => isOpen(event) || Date.parse(event.updated_at) > since).slice(0, RECENT);
  const open = found.filter(isOpen).length;
  byId('tasks-count').textContent = open ? `${open} open` : '';
  const list = byId('tasks-list');
  const lines = found.map((event) => h('li', { class: event.state },
    h('span', { class: 'when' }, time(event.updated_at ?? event.created_at)),
    h('span', { class: 'what' }, `${operation(event.operation)} `, said(subject(store, event) || shortId(event.volume_id), { class: 'name' })),
    state(event), progress(event, operation(event.operation)),
    h('span', { class: 'quiet' }, said(who(event)), ` (${ORIGINS[event.origin] ?? event.origin})`),
    h('span', { class: 'detail' }, detail(event))));
  draw(list, lines.length ? lines : h('li', { class: 'quiet' }, 'Nothing in the last ten minutes.'));
}
