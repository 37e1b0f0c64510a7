// Puts the console together: session, views, connection.

import { Api, Problem } from './api.js';
import { Alarms, severity } from './alarms.js';
import { button, byId, draw, h, said } from './dom.js';
import { errorBox, failed, toast } from './dialogs.js';
import { Estate } from './estate.js';
import { drawTasks, Events } from './events.js';
import { clockTime, detail, isOpen, operation, tick } from './format.js';
import { Snapshots, Trash } from './kept.js';
import { Live } from './live.js';
import { Store } from './store.js';
import { Volumes } from './volumes.js';

const POLL_MS = 5000;
const DRAW_MS = 120;

const api = new Api();
const store = new Store(api, scheduleDraw);
const live = new Live(api, {
  onChange: (transition) => store.apply(transition),
  onState: showConnection,
  onReset: () => store.load(),
});
const views = {
  volumes: new Volumes(api, store),
  events: new Events(api, store),
  snapshots: new Snapshots(api, store),
  trash: new Trash(api, store),
  alarms: new Alarms(api, store),
  centre: new Estate(api, store),
};
let current = null;
let connection = { word: 'connecting' };
let drawing = null;

// --- Session

async function begin() {
  try {
    showConnection({ word: 'connecting' });
    const sequence = await store.load();
    byId('login').hidden = true;
    for (const id of ['top', 'tabs', 'tasks']) byId(id).hidden = false;
    // Loopback without authentication: nobody to sign out.
    byId('sign-out').hidden = !api.token;
    draw(byId('who'), said(store.me.name), h('span', { class: 'quiet' }, ` ${store.me.roles.join(', ')}`));
    live.start(sequence);
    choose();
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return;
    if (error instanceof Problem) {
      draw(byId('views'), h('div', { class: 'start' }, errorBox(error), button('Try again', 'begin', { class: 'primary' })));
      showConnection({ word: 'connecting' });
      return;
    }
    showConnection({ word: 'disconnected', dataAt: null, retryAt: Date.now() + POLL_MS });
    live.wake = begin;
    setTimeout(() => !store.me && !live.running && begin(), POLL_MS);
  }
}

function askToken(problem) {
  const had = api.token;
  // Several requests may be refused at once: the first has said why.
  if (!had && problem && !byId('login').hidden) return;
  api.signOut();
  live.stop();
  store.clear();
  for (const open of document.querySelectorAll('dialog')) open.close();
  for (const id of ['top', 'tabs', 'tasks', 'banner']) byId(id).hidden = true;
  byId('views').replaceChildren();
  current = null;
  const isKeystone = problem?.challenge.includes('Keystone');
  byId('token-label').textContent = isKeystone ? 'Keystone token' : 'Token';
  byId('login-why').textContent = isKeystone
    ? '“openstack token issue” makes one.'
    : 'An administrator makes one with “virtdc-manage token create”.';
  const error = byId('login-error');
  error.hidden = !(had && problem);
  error.textContent = had && problem ? 'This token is not known here, or not any more.' : '';
  byId('login').hidden = false;
  byId('token').focus();
}

api.onUnauthenticated = askToken;
byId('login-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const token = byId('token').value.trim();
  // What no header can hold cannot be a token.
  if (!/^[!-~]+$/.test(token)) {
    byId('login-error').textContent = 'A token has no spaces and no letters beyond ASCII.';
    byId('login-error').hidden = false;
    return;
  }
  byId('token').value = '';
  byId('login-error').hidden = true;
  api.signIn(token);
  begin();
});
byId('sign-out').addEventListener('click', () => askToken(null));

// --- Views

function choose() {
  const allowed = Object.keys(views).filter((name) => store.may.has(views[name].rule));
  const wanted = location.hash.slice(1);
  const name = allowed.includes(wanted) ? wanted : allowed[0];
  if (!name) {
    byId('views').replaceChildren(h('p', { class: 'empty' }, 'Your roles let you see nothing here: ask an administrator.'));
    return;
  }
  if (current !== views[name]) {
    current = views[name];
    byId('views').replaceChildren(current.element);
    document.title = `${current.title} – ${byId('centre').textContent}`;
    current.entered?.();
  }
  drawAll();
}

window.addEventListener('hashchange', () => store.me && choose());

function scheduleDraw() {
  drawing ??= setTimeout(() => {
    drawing = null;
    drawAll();
  }, DRAW_MS);
}

function drawAll() {
  if (!store.me) return;
  const centre = store.lists.pools.whole?.data_centre;
  if (centre) byId('centre').title = `Data centre ${centre}`;
  draw(byId('tabs'), Object.entries(views).filter(([, view]) => store.may.has(view.rule)).map(([name, view]) => (
    h('a', { href: `#${name}`, 'aria-current': view === current ? 'page' : null, 'data-action': 'tab', 'data-key': name },
      view.title, view.badge ? h('span', { class: 'badge' }, view.badge, h('span', { class: 'visually-hidden' }, ' not acknowledged')) : null))));
  draw(byId('facts'), facts());
  current?.draw();
  drawTasks(store);
}

function facts() {
  const { agents, limits, alarms } = store.lists;
  const open = [...store.events.values()].filter(isOpen);
  const running = open.filter((event) => event.state === 'running').length;
  const alive = agents.items.filter((agent) => agent.is_alive);
  const counts = Object.groupBy(alarms.items.filter((alarm) => !alarm.acknowledged_at), (alarm) => alarm.severity);
  return [
    agents.loaded ? h('li', {}, `agents ${alive.length}/${agents.items.length}`) : null,
    ...limits.items.filter((lane) => lane.limit !== null).map((lane) => h('li', {}, `${lane.lane} limit ${lane.limit}`)),
    h('li', {}, `running ${running}`),
    h('li', {}, `waiting ${open.length - running}`),
    ...['critical', 'major', 'minor'].filter((name) => counts[name]).map((name) => h('li', {}, severity(name, counts[name].length))),
  ];
}

document.addEventListener('click', async (event) => {
  const element = event.target.closest?.('button[data-action]');
  if (!element) return;
  const { action, key } = element.dataset;
  if (element.getAttribute('aria-disabled') === 'true') {
    toast(`Not now: ${element.title}.`);
    return;
  }
  if (element.getAttribute('aria-busy') === 'true') return;
  element.setAttribute('aria-busy', 'true');
  try {
    if (action === 'begin') await begin();
    else if (action === 'more') await store.more(key);
    else await current?.act(action, key);
  } catch (error) {
    if (error.status !== 401) failed(error);
  } finally {
    element.removeAttribute('aria-busy');
  }
});

store.onFinished = (event) => {
  const name = store.nameOf(event.volume_id) || event.volume_id;
  const what = [`${operation(event.operation)} of `, said(name), `: ${event.state}`];
  const why = event.state === 'failed' ? h('p', {}, detail(event)) : null;
  const more = event.operation === 'delete' && event.state === 'success' ? h('p', {}, 'It lies in the ', h('a', { href: '#trash' }, 'trash'), ' for now.') : null;
  toast([h('p', {}, what), why, more].filter(Boolean), event.state === 'failed' ? 'failed' : '');
};

// --- Connection

function showConnection(found) {
  connection = found;
  document.body.dataset.connection = found.word;
  byId('connection-word').textContent = { live: 'live', paused: 'paused', connecting: 'connecting', disconnected: 'disconnected' }[found.word];
  byId('connection').title = { live: { stream: 'Changes are shown as they happen.', poll: 'Changes are shown as they happen (by long poll).', ask: 'Asks for changes every few seconds: too many follow them already.' }[found.mode] ?? '' }[found.word] ?? '';
  const lost = found.word === 'disconnected';
  byId('banner').hidden = !lost;
  if (lost) showWait();
  if (found.word === 'live') store.poll();
}

function showWait() {
  const { dataAt, retryAt } = connection;
  const seconds = Math.max(Math.ceil((retryAt - Date.now()) / 1000), 0);
  const since = dataAt ? `Disconnected, showing data of ${clockTime(dataAt)}.` : 'The agent cannot be reached.';
  const text = `${since} ${seconds ? 'Trying again soon.' : 'Trying again…'}`;
  if (byId('banner-text').textContent !== text) byId('banner-text').textContent = text;
}

byId('banner-retry').addEventListener('click', () => live.retry());

setInterval(() => {
  tick();
  if (connection.word === 'disconnected') showWait();
}, 1000);
setInterval(() => {
  if (!document.hidden && connection.word === 'live') store.poll();
}, POLL_MS);

begin();
