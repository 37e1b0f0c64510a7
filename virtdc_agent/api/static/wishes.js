// What all that asks for a change of a volume shares.

import { newKey } from './api.js';
import { h, said } from './dom.js';
import { field } from './dialogs.js';

// The name of a volume as it is shown, never empty.
export const labelOf = (volume) => volume.name || volume.volume_id;

export const plural = (count, word) => `${count} ${word}${count === 1 ? '' : 's'}`;

export function inUse(volume) {
  return volume.attached_to.length ? `in use by ${volume.attached_to.join(', ')}` : '';
}

// Send a change once, however often it is tried: the same wish has the same
// key, another has its own.
export function onceSender(api, store) {
  let last = '';
  let key = newKey();
  return async (method, address, body, headers = {}) => {
    const wish = JSON.stringify([method, address, body]);
    if (wish !== last) {
      last = wish;
      key = newKey();
    }
    const event = await api.ask(method, address, { body, headers: { 'Idempotency-Key': key, ...headers } });
    store.track(event);
    return event;
  };
}

export function follows(volume, what) {
  if (volume.origin !== 'cloud') return null;
  return h('p', { class: 'hint' }, 'OpenStack has this volume, too: ', what, '.');
}

// A field in which a volume's name has to be typed. ready() says what is
// missing, for openForm.
export function typedName(volume) {
  const made = field('name', ['Type ', said(labelOf(volume), { class: 'literal' }), ' to confirm'],
    h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false' }), { hint: 'The id will do, too.' });
  made.ready = () => ([labelOf(volume), volume.volume_id].includes(made.input.value) ? '' : 'Type the name first.');
  return made;
}

export const nameField = (label = 'Name') => field('name', label, h('input', { type: 'text', maxlength: 255, autocomplete: 'off' }));

export const textField = () => field('description', 'Description', h('textarea', { rows: 2, maxlength: 255 }));
