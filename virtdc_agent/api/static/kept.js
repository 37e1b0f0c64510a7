// The views of snapshots and of the trash: what is kept of volumes.

import { path } from './api.js';
import { button, draw, drawRows, h, said, table } from './dom.js';
import { openForm } from './dialogs.js';
import { operation, shortId, size, state, time } from './format.js';
import { listNote, moreButton } from './volumes.js';
import { inUse, labelOf, nameField, onceSender, typedName } from './wishes.js';

export class Snapshots {
  constructor(api, store) {
    this.api = api;
    this.store = store;
    this.title = 'Snapshots';
    this.rule = 'snapshots:list';
    this.table = table('Snapshots', [
      { title: 'Name' }, { title: 'Volume' }, { title: 'Size', class: 'number' }, { title: 'Taken' }, { title: 'Actions', quiet: true },
    ]);
    this.note = h('div');
    this.foot = h('div', { class: 'foot' });
    this.element = h('section', { 'aria-label': 'Snapshots' }, this.table.element, this.note, this.foot);
  }

  draw() {
    const { store } = this;
    drawRows(this.table.body, store.lists.snapshots.items.map((one) => this.row(one)));
    draw(this.note, listNote(store.lists.snapshots, 'There are no snapshots. They are taken of a volume, under “Volumes”.'));
    draw(this.foot, moreButton(store, 'snapshots'));
  }

  row(one) {
    const key = one.snapshot_id;
    const { may } = this.store;
    const name = one.name || key;
    const volume = this.store.lists.volumes.items.find((other) => other.volume_id === one.volume_id);
    return {
      key,
      cells: [
        h('th', { scope: 'row' }, said(name, { class: 'name' }), h('code', { class: 'id', title: key }, shortId(key)),
          one.description ? h('span', { class: 'quiet clip' }, said(one.description)) : null),
        h('td', {}, said(this.store.nameOf(one.volume_id) || shortId(one.volume_id), { title: one.volume_id })),
        h('td', { class: 'number' }, size(one.size_bytes)),
        h('td', {}, time(one.created_at)),
        h('td', { class: 'actions' },
          may.has('volumes:create') && button('New volume', 'snapshot-copy', { key, 'aria-label': `New volume from ${name}` }),
          may.has('snapshots:revert') && button('Revert', 'snapshot-revert', {
            key, why: volume ? inUse(volume) : '', 'aria-label': `Revert the volume to ${name}` }),
          may.has('snapshots:delete') && button('Delete', 'snapshot-delete', { key, class: 'danger', 'aria-label': `Delete the snapshot ${name}` })),
      ],
    };
  }

  async act(action, key) {
    const one = this.store.lists.snapshots.items.find((other) => other.snapshot_id === key);
    const send = onceSender(this.api, this.store);
    const name = said(one.name || key, { class: 'literal' });
    if (action === 'snapshot-copy') {
      const made = nameField('Name of the volume');
      openForm({
        title: ['New volume from ', name], submit: 'Create', fields: [made], body: [made.row],
        send: () => send('POST', path('volumes'), { name: made.input.value, source_snapshot_id: key }),
      });
      return;
    }
    const isRevert = action === 'snapshot-revert';
    openForm({
      title: [isRevert ? 'Revert to ' : 'Delete the snapshot ', name, '?'],
      submit: isRevert ? 'Revert' : 'Delete', danger: true,
      body: [h('p', {}, isRevert
        ? ['All that was written to ', said(this.store.nameOf(one.volume_id) || one.volume_id, { class: 'literal' }), ' since then is lost.']
        : 'A snapshot does not go to the trash: it is gone at once.')],
      send: () => (isRevert ? send('POST', path('snapshots', key, 'revert')) : send('DELETE', path('snapshots', key))),
    });
  }
}

export class Trash {
  constructor(api, store) {
    this.api = api;
    this.store = store;
    this.title = 'Trash';
    this.rule = 'trash:list';
    this.table = table('Deleted volumes that can still be restored', [
      { title: 'Name' }, { title: 'Size', class: 'number' }, { title: 'Deleted' }, { title: 'By' }, { title: 'Gone for good' },
      { title: 'State' }, { title: 'Actions', quiet: true },
    ]);
    this.note = h('div');
    this.foot = h('div', { class: 'foot' });
    this.element = h('section', { 'aria-label': 'Trash' }, this.table.element, this.note, this.foot);
  }

  draw() {
    const { store } = this;
    const open = store.openByVolume();
    drawRows(this.table.body, store.lists.trash.items.map((one) => this.row(one, open.get(one.volume.volume_id))));
    draw(this.note, listNote(store.lists.trash, 'The trash is empty. Deleted volumes stay here for a while.'));
    draw(this.foot, moreButton(store, 'trash'));
  }

  row(one, event) {
    const { volume } = one;
    const { may } = this.store;
    const key = volume.volume_id;
    const name = labelOf(volume);
    return {
      key,
      cells: [
        h('th', { scope: 'row' }, said(name, { class: 'name' }), h('code', { class: 'id', title: key }, shortId(key))),
        h('td', { class: 'number' }, size(volume.size_bytes)),
        h('td', {}, time(one.deleted_at)),
        h('td', {}, said(one.deleted_by.user_id || 'unknown'), h('span', { class: 'quiet' }, one.origin === 'cloud' ? ' (cloud)' : ' (data centre)')),
        h('td', {}, time(one.until)),
        h('td', {}, event ? [`${operation(event.operation)} `, state(event)] : 'kept'),
        h('td', { class: 'actions' },
          may.has('trash:restore') && button('Restore', 'trash-restore', { key, class: 'primary', 'aria-label': `Restore ${name}` }),
          may.has('trash:purge') && button('Remove for good', 'trash-purge', { key, class: 'danger', 'aria-label': `Remove ${name} for good` })),
      ],
    };
  }

  async act(action, key) {
    const one = this.store.lists.trash.items.find((other) => other.volume.volume_id === key);
    const send = onceSender(this.api, this.store);
    if (action === 'trash-restore') {
      await send('POST', path('trash', key, 'restore'));
      return;
    }
    const typed = typedName(one.volume);
    openForm({
      title: ['Remove ', said(labelOf(one.volume)), ' for good'], submit: 'Remove for good', danger: true, fields: [typed],
      body: [h('p', {}, `${size(one.volume.size_bytes)} of data. Nobody can bring it back.`), typed.row],
      ready: typed.ready,
      send: () => send('DELETE', path('trash', key)),
    });
  }
}
