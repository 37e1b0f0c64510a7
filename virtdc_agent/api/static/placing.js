// Where volumes lie, for operators: pools and exporters of new ones, moves,
// files of the storage that become volumes, and volumes given up or deleted
// although something says that they are used.

import { path, query } from './api.js';
import { h, said } from './dom.js';
import { errorBox, fault, field, openForm } from './dialogs.js';
import { size } from './format.js';
import { follows, inUse, labelOf, nameField, onceSender, typedName } from './wishes.js';

const MOST = 1000;

const option = (value, ...label) => h('option', { value }, ...label);

// What there is to choose from; nothing for those who may not see it.
function choices(store) {
  const { whole } = store.lists.pools;
  return {
    pools: (whole?.pools ?? []).map((pool) => pool.name).filter(Boolean),
    exporters: (whole?.exporters ?? []).map((one) => one.name),
    operations: new Set(whole?.operations ?? []),
  };
}

function choiceField(name, label, values, { first, hint } = {}) {
  const made = field(name, label, h('select', {},
    first ? option('', first) : null, values.map((value) => option(value, value))), { hint });
  made.read = () => made.input.value || undefined;
  return made;
}

// Fields for where a new volume is to lie; none where there is no choice.
export function placeFields(store) {
  const { pools, exporters } = choices(store);
  if (!store.may.has('volumes:place')) return [];
  return [
    pools.length > 1 && choiceField('pool', 'Pool', pools, { first: `any (${pools[0]})` }),
    exporters.length > 1 && choiceField('exporter', 'Reached by', exporters,
      { first: `any (${exporters[0]})`, hint: 'For hosts that do not say how; a volume type of the cloud does.' }),
  ].filter(Boolean);
}

export const readAll = (fields) => Object.fromEntries(fields.map((one) => [one.name, one.read()]).filter(([, value]) => value !== undefined));

// Whether there is anything here for this person, about some volume.
export function hasMore(store) {
  const { pools, operations } = choices(store);
  return (store.may.has('volumes:migrate') && operations.has('migrate') && pools.length > 1)
    || (store.may.has('volumes:unmanage') && operations.has('unmanage'))
    || store.may.has('volumes:force_delete');
}

export const canManage = (store) => store.may.has('volumes:manage') && store.may.has('manageable:list') && choices(store).operations.has('manage');

// Offer what operators can do to a volume, one after the other.
export function askMore(api, store, volume) {
  const { pools, operations } = choices(store);
  const used = inUse(volume);
  const open = [
    store.may.has('volumes:migrate') && operations.has('migrate') && pools.length > 1
      && ['migrate', 'Move to another pool', used],
    store.may.has('volumes:unmanage') && operations.has('unmanage') && ['unmanage', 'Give up, and keep its file', used],
    store.may.has('volumes:force_delete') && ['force', 'Delete, although it is in use', used ? '' : 'nobody uses it: the ordinary delete will do'],
  ].filter(Boolean);
  const lines = open.map(([value, label, why]) => h('label', { class: 'choice' },
    h('input', { type: 'radio', name: 'what', value, disabled: Boolean(why) }),
    ' ', label, why ? h('span', { class: 'hint' }, ` – not now: ${why}`) : null));
  const row = h('fieldset', {}, h('legend', {}, 'What is to be done?'), lines);
  const chosen = () => row.querySelector('input:checked')?.value;
  let next = () => {};
  const { dialog } = openForm({
    title: ['More for ', said(labelOf(volume))], submit: 'Continue', body: [row],
    ready: () => (chosen() ? '' : 'Choose first.'),
    send: () => {
      next = { migrate: askMigrate, unmanage: askUnmanage, force: askForce }[chosen()];
    },
  });
  dialog.addEventListener('close', () => next(api, store, volume));
}

function askMigrate(api, store, volume) {
  const send = onceSender(api, store);
  const { pools } = choices(store);
  const here = volume.pool || pools[0];
  const pool = choiceField('pool', 'To the pool', pools.filter((one) => one !== here), { hint: `Now in ${here}.` });
  openForm({
    title: ['Move ', said(labelOf(volume))], submit: 'Move', fields: [pool],
    body: [pool.row, h('p', { class: 'hint' }, `${size(volume.size_bytes)} are copied; nobody can use it meanwhile. A volume with snapshots cannot move.`),
      follows(volume, 'its record keeps the former pool until it is migrated there, too')],
    send: () => send('POST', path('volumes', volume.volume_id, 'migrate'), { pool: pool.read() }),
  });
}

function askUnmanage(api, store, volume) {
  const send = onceSender(api, store);
  const typed = typedName(volume);
  openForm({
    title: ['Give up ', said(labelOf(volume))], submit: 'Give up', danger: true, fields: [typed],
    body: [h('p', {}, 'It is no volume any more; its file stays where it is, and can be managed again.'),
      follows(volume, 'it finds that the volume is gone'), typed.row],
    ready: typed.ready,
    send: () => send('POST', path('volumes', volume.volume_id, 'unmanage')),
  });
}

function askForce(api, store, volume) {
  const send = onceSender(api, store);
  const typed = typedName(volume);
  openForm({
    title: ['Delete ', said(labelOf(volume)), ' although it is in use'], submit: 'Delete', danger: true, fields: [typed],
    body: [
      h('p', { class: 'warning' }, said(`It is ${inUse(volume)}. If that is so, what runs there loses its disk, without being asked.`)),
      h('p', {}, 'For volumes whose hosts are gone and did not let go of them. It goes to the trash, and your name stands in its event.'),
      follows(volume, 'its record stays there, unusable, with an alarm'), typed.row,
    ],
    ready: typed.ready,
    send: () => send('DELETE', `${path('volumes', volume.volume_id)}${query({ force: true })}`),
  });
}

// Have a file of the storage become a volume.
export function askManage(api, store) {
  const send = onceSender(api, store);
  const { pools } = choices(store);
  const pool = pools.length > 1 ? choiceField('pool', 'Pool', pools) : null;
  const name = nameField('Name of the volume');
  const list = field('reference', 'What lies there', h('select', { size: 7, class: 'list' }), { hint: 'What cannot become a volume says why.' });
  const note = h('div', { 'aria-live': 'polite' });
  let turn = 0;
  const load = async () => {
    turn += 1;
    const mine = turn;
    list.input.replaceChildren();
    note.replaceChildren(h('p', { class: 'quiet' }, 'Looking into the pool…'));
    try {
      const found = await api.get(`${path('manageable')}${query({ pool: pool?.read(), limit: MOST })}`);
      if (mine !== turn) return;
      const loose = found.manageable.filter((one) => !one.volume_id);
      list.input.replaceChildren(...loose.map((one) => h('option', { value: one.reference, disabled: !one.is_safe, title: one.reason || null },
        `${one.reference} – ${one.is_safe ? `${size(one.size_bytes)}${one.format ? `, ${one.format}` : ''}` : one.reason}`)));
      note.replaceChildren(loose.length ? '' : h('p', { class: 'quiet' }, 'There is nothing but volumes.'),
        found.next_marker ? h('p', { class: 'quiet' }, `The first ${MOST} are shown.`) : '');
    } catch (error) {
      if (mine === turn) note.replaceChildren(errorBox(error));
    }
  };
  pool?.input.addEventListener('change', load);
  openForm({
    title: 'Make a volume of a file', submit: 'Manage', wide: true, fields: [pool, list, name].filter(Boolean),
    body: [pool?.row, list.row, note, name.row, h('p', { class: 'hint' }, 'Its bytes stay as they are, and become the volume’s.')],
    ready: () => (list.input.value ? '' : 'Choose a file first.'),
    send: () => send('POST', path('manageable'), { reference: list.input.value, pool: pool?.read(), name: name.input.value }),
  });
  load();
}

// Have snapshots taken of several volumes at one instant.
export function askGroup(api, store) {
  const send = onceSender(api, store);
  const name = nameField('Name of the snapshots');
  const lines = store.lists.volumes.items.map((volume) => {
    const used = inUse(volume);
    return h('label', { class: 'choice' }, h('input', { type: 'checkbox', value: volume.volume_id, disabled: Boolean(used) }),
      ' ', said(labelOf(volume)), used ? h('span', { class: 'hint' }, ` – not now: ${used}`) : null);
  });
  const error = h('p', { class: 'error', hidden: true });
  const row = h('fieldset', {}, h('legend', {}, 'Volumes'), h('div', { class: 'many' }, lines), error);
  const chosen = () => [...row.querySelectorAll('input:checked')].map((one) => one.value);
  const group = {
    name: 'volume_ids', row, input: row,
    fail(text) {
      error.textContent = text ?? '';
      error.hidden = !text;
    },
  };
  openForm({
    title: 'Snapshots of several volumes', submit: 'Take snapshots', fields: [group, name],
    body: [row, name.row, h('p', { class: 'hint' }, 'All at one instant: all of them, or none. They are of one project, in one pool, and not in use.')],
    ready: () => (chosen().length > 1 ? '' : 'Choose two or more.'),
    send: () => {
      if (chosen().length < 2) throw fault('Choose two or more.');
      return send('POST', path('snapshots'), { volume_ids: chosen(), name: name.input.value });
    },
  });
}

// Make anew, empty, what the cloud still has and the data centre has lost.
export function askRecreate(api, store, alarm) {
  const send = onceSender(api, store);
  const { name, size_bytes: bytes, project_id: project } = alarm.details;
  openForm({
    title: ['Make ', said(name || alarm.subject), ' anew?'], submit: 'Make it anew', danger: true,
    body: [h('p', {}, `An empty volume of ${size(bytes)} with the same id, in the place of the one that is gone. What was on it stays lost; if it lies in the trash still, restore it instead.`)],
    send: () => send('POST', path('volumes'), { volume_id: alarm.subject, size_bytes: bytes, name: name ?? '', project_id: project ?? '' }),
  });
}

