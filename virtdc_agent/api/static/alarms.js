// The view of alarms: what a person has to see.

import { path } from './api.js';
import { button, draw, drawRows, h, said, table } from './dom.js';
import { field, openForm } from './dialogs.js';
import { time } from './format.js';
import { askRecreate } from './placing.js';
import { listNote, moreButton } from './volumes.js';

const MARKS = { critical: '▲', major: '▲', minor: '△' };
const ORDER = ['critical', 'major', 'minor'];

export const severity = (name, count) => h('span', { class: `severity ${name}` },
  h('span', { 'aria-hidden': 'true' }, MARKS[name] ?? '△'), count === undefined ? ` ${name}` : ` ${count} ${name}`);

export class Alarms {
  constructor(api, store) {
    this.api = api;
    this.store = store;
    this.title = 'Alarms';
    this.rule = 'alarms:list';
    this.table = table('Alarms that are raised', [
      { title: 'Severity' }, { title: 'Alarm' }, { title: 'Raised' }, { title: 'Times', class: 'number' },
      { title: 'Acknowledged' }, { title: 'Actions', quiet: true },
    ]);
    this.note = h('div');
    this.foot = h('div', { class: 'foot' });
    this.element = h('section', { 'aria-label': 'Alarms' }, this.table.element, this.note, this.foot);
  }

  get items() {
    return [...this.store.lists.alarms.items].sort((a, b) => (
      ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity) || (a.raised_at < b.raised_at ? 1 : -1)));
  }

  // How many nobody has acknowledged.
  get badge() {
    return this.items.filter((alarm) => !alarm.acknowledged_at).length;
  }

  draw() {
    drawRows(this.table.body, this.items.map((alarm) => this.row(alarm)));
    draw(this.note, listNote(this.store.lists.alarms, 'No alarm is raised.'));
    draw(this.foot, moreButton(this.store, 'alarms'));
  }

  row(alarm) {
    const key = `${alarm.kind}/${alarm.subject}`;
    const { may } = this.store;
    const name = this.store.nameOf(alarm.subject) || alarm.subject;
    return {
      key,
      class: alarm.acknowledged_at ? 'acknowledged' : '',
      cells: [
        h('td', {}, severity(alarm.severity)),
        h('th', { scope: 'row' }, h('code', {}, alarm.kind), ' ', said(name, { class: 'name', title: alarm.subject }),
          h('p', { class: 'message' }, said(alarm.message))),
        h('td', {}, time(alarm.raised_at)),
        h('td', { class: 'number' }, alarm.count),
        h('td', {}, alarm.acknowledged_at
          ? [said(alarm.acknowledged_by), ' ', time(alarm.acknowledged_at), alarm.comment ? h('p', { class: 'message' }, said(alarm.comment)) : null]
          : h('span', { class: 'quiet' }, 'no')),
        h('td', { class: 'actions' },
          !alarm.acknowledged_at && may.has('alarms:acknowledge')
            && button('Acknowledge', 'alarm-acknowledge', { key, 'aria-label': `Acknowledge ${alarm.kind} of ${name}` }),
          this.canRecreate(alarm) && button('Make anew', 'alarm-recreate', { key, 'aria-label': `Make ${name} anew` }),
          may.has('alarms:clear') && button('Clear', 'alarm-clear', { key, 'aria-label': `Clear ${alarm.kind} of ${name}` })),
      ],
    };
  }

  async act(action, key) {
    const alarm = this.items.find((one) => `${one.kind}/${one.subject}` === key);
    const address = (verb) => path('alarms', alarm.kind, alarm.subject, verb);
    const about = h('p', {}, said(alarm.message));
    if (action === 'alarm-recreate') return askRecreate(this.api, this.store, alarm);
    if (action === 'alarm-acknowledge') {
      const comment = field('comment', 'Comment', h('textarea', { rows: 2, maxlength: 1024 }),
        { hint: 'For others: who looks after it, and how far you are.' });
      openForm({
        title: 'Acknowledge', submit: 'Acknowledge', fields: [comment], body: [about, comment.row],
        send: () => this.change(address('acknowledge'), { comment: comment.input.value }),
      });
      return null;
    }
    return openForm({
      title: 'Clear this alarm?', submit: 'Clear',
      body: [about, h('p', { class: 'hint' }, 'It is raised again if its cause is still there.')],
      send: () => this.change(address('clear')),
    });
  }

  // Whether it is of a volume that operators can make anew.
  canRecreate(alarm) {
    return alarm.kind === 'volume-deleted' && alarm.details.size_bytes > 0
      && this.store.may.has('volumes:recreate') && this.store.may.has('volumes:create');
  }

  async change(address, body) {
    await this.api.ask('POST', address, { body });
    await this.store.refresh(['alarms']);
  }
}
