// The view of volumes, and what can be done to one.

import { path } from './api.js';
import { button, drawRows, draw, h, said, table } from './dom.js';
import { fault, failed, field, openForm } from './dialogs.js';
import { GIB, operation, progress, shortId, size, state, time } from './format.js';
import { askGroup, askManage, askMore, canManage, hasMore, placeFields, readAll } from './placing.js';
import { follows, inUse, labelOf, nameField, onceSender, plural, textField, typedName } from './wishes.js';

const OWN_METADATA = 'virtdc.';

export class Volumes {
  constructor(api, store) {
    this.api = api;
    this.store = store;
    this.title = 'Volumes';
    this.rule = 'volumes:list';
    this.table = table('Volumes', [
      { title: 'Name' }, { title: 'Size', class: 'number' }, { title: 'State' }, { title: 'In use by' },
      { title: 'Origin' }, { title: 'Owner' }, { title: 'Changed' }, { title: 'Actions', quiet: true },
    ]);
    this.search = h('input', { type: 'search', placeholder: 'Name or id', 'aria-label': 'Search volumes by name or id' });
    this.create = h('div', { class: 'push' });
    this.note = h('div');
    this.foot = h('div', { class: 'foot' });
    this.element = h('section', { 'aria-label': 'Volumes' },
      h('div', { class: 'tools' }, this.search, this.create), this.table.element, this.note, this.foot);
    let timer;
    this.search.addEventListener('input', () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        Object.assign(store.lists.volumes, { search: this.search.value.trim(), loaded: false });
        store.refresh(['volumes']).catch(failed);
      }, 250);
    });
  }

  draw() {
    const { store } = this;
    const list = store.lists.volumes;
    const open = store.openByVolume();
    const snapshots = new Map();
    for (const one of store.lists.snapshots.items) snapshots.set(one.volume_id, (snapshots.get(one.volume_id) ?? 0) + 1);
    drawRows(this.table.body, list.items.map((volume) => (
      this.row(volume, open.get(volume.volume_id), snapshots.get(volume.volume_id) ?? 0))));
    draw(this.create, [
      store.may.has('snapshots:create') && list.items.length > 1 && button('Snapshot several', 'volume-group'),
      canManage(store) && button('Manage a file', 'volume-manage'),
      store.may.has('volumes:create') && button('New volume', 'volume-create', { class: 'primary' }),
    ]);
    const empty = list.search ? `No volume has “${list.search}” in its name, or an id that begins so.`
      : 'There are no volumes yet. What is created here or in the cloud appears by itself.';
    draw(this.note, listNote(list, empty));
    draw(this.foot, moreButton(store, 'volumes'));
  }

  row(volume, event, snapshots) {
    const id = volume.volume_id;
    const used = inUse(volume);
    return {
      key: id,
      class: event ? 'busy' : '',
      cells: [
        h('th', { scope: 'row' }, said(labelOf(volume), { class: 'name' }),
          h('code', { class: 'id', title: id }, shortId(id)),
          volume.description ? h('span', { class: 'quiet clip' }, said(volume.description)) : null),
        h('td', { class: 'number' }, size(volume.size_bytes)),
        h('td', {}, event
          ? [h('span', {}, `${operation(event.operation)} `), state(event), progress(event, `${operation(event.operation)} of ${labelOf(volume)}`)]
          : h('span', { class: 'state success' }, h('span', { 'aria-hidden': 'true' }, '●'), ' ready')),
        h('td', {}, volume.attached_to.length ? said(volume.attached_to.join(', ')) : h('span', { class: 'quiet' }, 'nobody'),
          snapshots ? h('span', { class: 'quiet block' }, plural(snapshots, 'snapshot')) : null),
        h('td', { class: 'nowrap' }, volume.origin === 'cloud' ? 'cloud' : 'data centre'),
        h('td', {}, volume.project_id ? said(shortId(volume.project_id), { title: volume.project_id }) : h('span', { class: 'quiet' }, 'none')),
        h('td', {}, time(volume.updated_at)),
        h('td', { class: 'actions' }, this.buttons(volume, used, snapshots)),
      ],
    };
  }

  buttons(volume, used, snapshots) {
    const { may } = this.store;
    const key = volume.volume_id;
    const of = labelOf(volume);
    const kept = snapshots ? `it has ${plural(snapshots, 'snapshot')}` : '';
    return [
      may.has('volumes:edit') && button('Edit', 'volume-edit', { key, 'aria-label': `Edit ${of}` }),
      may.has('volumes:resize') && button('Resize', 'volume-resize', { key, 'aria-label': `Resize ${of}` }),
      may.has('snapshots:create') && button('Snapshot', 'volume-snapshot', { key, 'aria-label': `Take a snapshot of ${of}` }),
      may.has('volumes:delete') && button('Delete', 'volume-delete', { key, class: 'danger', why: used || kept, 'aria-label': `Delete ${of}` }),
      hasMore(this.store) && button('More', 'volume-more', { key, 'aria-label': `More for ${of}` }),
    ];
  }

  async act(action, key) {
    if (action === 'volume-create') return this.askCreate();
    if (action === 'volume-manage') return askManage(this.api, this.store);
    if (action === 'volume-group') return askGroup(this.api, this.store);
    // As it is now, not as it was drawn.
    const volume = await this.api.get(path('volumes', key));
    return {
      'volume-edit': () => this.askEdit(volume),
      'volume-resize': () => this.askResize(volume),
      'volume-snapshot': () => this.askSnapshot(volume),
      'volume-delete': () => this.askDelete(volume),
      'volume-more': () => askMore(this.api, this.store, volume),
    }[action]();
  }

  askCreate() {
    const send = onceSender(this.api, this.store);
    const name = nameField();
    const text = textField();
    const gib = sizeField('Size in GiB', 1, 1);
    const places = placeFields(this.store);
    openForm({
      title: 'New volume', submit: 'Create', fields: [name, gib, text, ...places],
      body: [name.row, gib.row, text.row, ...places.map((one) => one.row), h('p', { class: 'hint' }, 'The cloud is told of it; it makes it a volume there only if it is so configured.')],
      send: () => send('POST', path('volumes'), {
        name: name.input.value, description: text.input.value, size_bytes: gib.read(), ...readAll(places),
      }),
    });
  }

  askEdit(volume) {
    const send = onceSender(this.api, this.store);
    const name = nameField();
    const text = textField();
    name.input.value = volume.name;
    text.input.value = volume.description;
    const known = Object.fromEntries(Object.entries(volume.metadata).filter(([key]) => !key.startsWith(OWN_METADATA)));
    const metadata = metadataEditor(known);
    openForm({
      title: ['Edit ', said(labelOf(volume))], submit: 'Save', fields: [name, text, metadata],
      body: [name.row, text.row, metadata.row, follows(volume, 'its name, description and metadata there become these')],
      send: () => {
        const body = {};
        if (name.input.value !== volume.name) body.name = name.input.value;
        if (text.input.value !== volume.description) body.description = text.input.value;
        const wanted = metadata.read();
        if (JSON.stringify(sorted(wanted)) !== JSON.stringify(sorted(known))) body.metadata = wanted;
        if (!Object.keys(body).length) return null;
        return send('PATCH', path('volumes', volume.volume_id), body, { 'If-Match': volume.etag });
      },
    });
  }

  askResize(volume) {
    const send = onceSender(this.api, this.store);
    const least = Math.floor(volume.size_bytes / GIB) + 1;
    const gib = sizeField('New size in GiB', least, least, `Now ${size(volume.size_bytes)}. Volumes only grow.`);
    openForm({
      title: ['Resize ', said(labelOf(volume))], submit: 'Resize', fields: [gib],
      body: [gib.row, inUse(volume) ? h('p', { class: 'hint' }, `It is ${inUse(volume)}, and grows there as far as the host allows.`) : null,
        follows(volume, 'its size and the quota of its project there follow')],
      send: () => send('POST', path('volumes', volume.volume_id, 'resize'), { size_bytes: gib.read() }),
    });
  }

  askSnapshot(volume) {
    const send = onceSender(this.api, this.store);
    const name = nameField('Name of the snapshot');
    const text = field('description', 'Description', h('textarea', { rows: 2 }));
    openForm({
      title: ['Snapshot of ', said(labelOf(volume))], submit: 'Take snapshot', fields: [name, text],
      body: [name.row, text.row],
      send: () => send('POST', path('snapshots'), {
        volume_id: volume.volume_id, name: name.input.value, description: text.input.value,
      }),
    });
  }

  askDelete(volume) {
    const used = inUse(volume);
    if (used) return failed(fault(`${labelOf(volume)} is ${used}: detach it first.`));
    const send = onceSender(this.api, this.store);
    const typed = typedName(volume);
    return openForm({
      title: ['Delete ', said(labelOf(volume))], submit: 'Delete', danger: true, fields: [typed],
      body: [
        h('p', {}, `${size(volume.size_bytes)}. It goes to the trash, from where it can be restored for a while.`),
        follows(volume, 'its record stays there, unusable, with an alarm'),
        ...volume.open_events.map((event) => h('p', { class: 'warning' }, `Its ${operation(event.operation)} is ${event.state}; the delete comes after it.`)),
        typed.row,
      ],
      ready: typed.ready,
      send: () => send('DELETE', path('volumes', volume.volume_id)),
    });
  }
}

const sorted = (object) => Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1));

function sizeField(label, value, least, hint) {
  const made = field('size_bytes', label, h('input', { type: 'number', min: least, step: 1, value, inputmode: 'numeric' }), { hint });
  made.read = () => {
    const text = made.input.value.trim();
    const wanted = Number(text);
    if (!/^\d+$/.test(text) || wanted < least) throw fault(`The size is a whole number of GiB, at least ${least}.`, 'size_bytes', `must be a whole number of GiB, at least ${least}`);
    if (wanted * GIB > Number.MAX_SAFE_INTEGER) throw fault('No storage has so much.', 'size_bytes', 'is more than any storage has');
    return wanted * GIB;
  };
  return made;
}

// Keys and values, a line each.
function metadataEditor(known) {
  const lines = h('div', { class: 'lines' });
  const add = h('button', { type: 'button', class: 'small' }, 'Add an entry');
  const error = h('p', { class: 'error', hidden: true, id: 'metadata-error' });
  const row = h('fieldset', { 'aria-describedby': 'metadata-error' }, h('legend', {}, 'Metadata'), lines, add, error);
  const put = (key, value) => {
    const remove = h('button', { type: 'button', class: 'small', 'aria-label': `Remove the entry ${key}` }, '×');
    const line = h('div', { class: 'line' },
      h('input', { type: 'text', maxlength: 255, value: key, 'aria-label': 'Key', placeholder: 'key' }),
      h('input', { type: 'text', maxlength: 255, value, 'aria-label': 'Value', placeholder: 'value' }), remove);
    remove.addEventListener('click', () => {
      line.remove();
      add.focus();
    });
    lines.append(line);
    return line;
  };
  for (const [key, value] of sorted(known)) put(key, value);
  add.addEventListener('click', () => put('', '').querySelector('input').focus());
  return {
    name: 'metadata', row, input: row,
    fail(text) {
      error.textContent = text ?? '';
      error.hidden = !text;
    },
    read() {
      const found = {};
      for (const line of lines.children) {
        const [key, value] = [...line.querySelectorAll('input')].map((input) => input.value);
        if (!key && !value) continue;
        if (!key) throw fault('An entry has no key.', 'metadata', `has a value without a key: ${value}`);
        if (Object.hasOwn(found, key)) throw fault('A key is there twice.', 'metadata', `has the key ${key} twice`);
        Object.defineProperty(found, key, { value, enumerable: true });
      }
      return found;
    },
  };
}

// What stands below a list that has no rows, or could not be read.
export function listNote(list, empty) {
  if (list.error) return h('p', { class: 'problem' }, said(list.error.message), list.error.requestId ? [' Request ', h('code', {}, list.error.requestId)] : null);
  if (!list.loaded) return h('p', { class: 'empty' }, h('span', { class: 'spinner', 'aria-hidden': 'true' }), ' Loading…');
  if (!list.items.length) return h('p', { class: 'empty' }, empty);
  return null;
}

export function moreButton(store, name) {
  const list = store.lists[name];
  if (list.next === null) return null;
  if (!store.canShowMore(name)) return h('p', { class: 'quiet' }, `The first ${list.items.length} are shown. Search for others.`);
  return button('Show more', 'more', { key: name });
}
