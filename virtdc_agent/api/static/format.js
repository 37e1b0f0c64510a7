// How values read: sizes, times, and the words of the contract.

import { h } from './dom.js';

export const GIB = 1024 ** 3;
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function size(bytes) {
  if (bytes === null || bytes === undefined) return '–';
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

// The server's clock less ours: ages are right on a machine whose clock is not.
let skewMs = 0;

export function setServerTime(text) {
  const at = Date.parse(text ?? '');
  if (Number.isFinite(at)) {
    const found = at - Date.now();
    // The header has whole seconds.
    if (Math.abs(found - skewMs) > 1500) skewMs = found;
  }
}

export const now = () => Date.now() + skewMs;

export function duration(seconds) {
  if (seconds < 0.05) return 'less than 0.1 s';
  if (seconds < 0.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

function relative(iso) {
  const seconds = (now() - Date.parse(iso)) / 1000;
  if (Math.abs(seconds) < 2) return 'now';
  return seconds < 0 ? `in ${duration(-seconds)}` : `${duration(seconds)} ago`;
}

export function absolute(iso) {
  return new Date(iso).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
}

export const clockTime = (ms) => new Date(ms).toLocaleTimeString();

// A time as people say it, with the exact one on hover; kept right by tick().
export function time(iso) {
  if (!iso) return '–';
  return h('time', { datetime: iso, title: absolute(iso), 'data-ago': iso }, relative(iso));
}

export function tick() {
  for (const element of document.querySelectorAll('time[data-ago]')) {
    const text = relative(element.dataset.ago);
    if (element.textContent !== text) element.textContent = text;
  }
}

const OPERATIONS = {
  create: 'create', delete: 'delete', extend: 'resize', connect: 'attach', disconnect: 'detach',
  snapshot: 'snapshot', delete_snapshot: 'delete snapshot', revert: 'revert', clone: 'copy',
  import: 'import image', edit: 'edit', restore: 'restore', purge: 'remove for good',
  snapshot_group: 'snapshot group', migrate: 'move', manage: 'manage', unmanage: 'unmanage',
  manage_snapshot: 'manage snapshot', unmanage_snapshot: 'unmanage snapshot',
};

export const operation = (name) => OPERATIONS[name] ?? name.replaceAll('_', ' ');

const REASONS = {
  rejected: 'refused', timeout: 'took too long', backend: 'the storage failed',
  cancelled: 'cancelled', lost: 'its agent was lost',
};

export const reason = (name) => REASONS[name] ?? name;

export const ORIGINS = { cloud: 'cloud', platform: 'data centre' };

const MARKS = { waiting: '○', running: '◐', success: '✓', failed: '✕' };

export const isOpen = (event) => event.state === 'waiting' || event.state === 'running';

export function state(event) {
  return h('span', { class: `state ${event.state}` },
    h('span', { 'aria-hidden': 'true' }, MARKS[event.state] ?? '?'), ` ${event.state}`);
}

// A bar; without a number it is one that only moves.
export function progress(event, label) {
  if (!isOpen(event)) return null;
  if (event.state === 'waiting') {
    return event.is_cancel_requested ? h('span', { class: 'quiet' }, 'cancelling') : null;
  }
  const known = event.progress !== null && event.progress !== undefined;
  const done = event.bytes_total ? `${size(event.bytes_done ?? 0)} of ${size(event.bytes_total)}` : '';
  const words = [known ? `${event.progress} %` : '', event.is_cancel_requested ? 'cancelling' : event.phase, done];
  return h('span', { class: 'progress' },
    h('progress', { max: 100, value: known ? event.progress : null, 'aria-label': label }),
    h('span', { class: 'quiet' }, words.filter(Boolean).join(' · ')));
}

export function detail(event) {
  const parts = [];
  if (event.reason) parts.push(h('strong', {}, `${reason(event.reason)}: `));
  if (event.message) parts.push(h('bdi', {}, event.message));
  if (event.attempt > 1) parts.push(h('span', { class: 'quiet' }, ` (attempt ${event.attempt})`));
  return parts;
}

export const shortId = (id) => (id.length > 13 ? `${id.slice(0, 8)}…` : id);
