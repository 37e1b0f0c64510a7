// The view of what executes, and on what: pools, agents, limits.

import { path } from './api.js';
import { button, draw, drawRows, h, said, table } from './dom.js';
import { openForm } from './dialogs.js';
import { size, time } from './format.js';
import { chart } from './chart.js';
import { listNote } from './volumes.js';

const LANES = { quick: 'Quick operations', copy: 'Copies' };

export class Estate {
  constructor(api, store) {
    this.api = api;
    this.store = store;
    this.title = 'Data centre';
    this.rule = 'pools:list';
    this.pools = table('Pools', [
      { title: 'Pool' }, { title: 'Backend' }, { title: 'Used' }, { title: 'Free', class: 'number' },
      { title: 'Promised', class: 'number' }, { title: 'Volumes', class: 'number' }, { title: 'Formats' },
    ]);
    this.agents = table('Agents', [
      { title: 'Agent' }, { title: 'Host' }, { title: 'State' }, { title: 'Running', class: 'number' },
      { title: 'Version' }, { title: 'Started' }, { title: 'Actions', quiet: true },
    ]);
    this.poolsNote = h('div');
    this.agentsNote = h('div');
    this.limits = h('div', { class: 'charts' });
    this.element = h('section', { 'aria-label': 'Data centre' },
      h('h2', {}, 'Pools'), this.pools.element, this.poolsNote,
      h('h2', {}, 'Agents'), this.agents.element, this.agentsNote,
      h('h2', {}, 'How many operations may run at once'), this.limits);
  }

  draw() {
    const { pools, agents, limits } = this.store.lists;
    drawRows(this.pools.body, pools.items.map(poolRow));
    draw(this.poolsNote, listNote(pools, 'There are no pools.'));
    drawRows(this.agents.body, agents.items.map((agent) => this.agentRow(agent)));
    draw(this.agentsNote, listNote(agents, 'No agent has joined.'));
    draw(this.limits, listNote(limits, 'There is nothing to tell yet.') ?? limits.items.map((lane) => h('figure', {},
      h('figcaption', {}, h('strong', {}, LANES[lane.lane] ?? lane.lane), ` – ${lane.limit === null ? 'not known yet' : `at most ${lane.limit} now`}`),
      chart(lane.history, `${LANES[lane.lane] ?? lane.lane}: limit and running, lately`))));
  }

  agentRow(agent) {
    const key = agent.name;
    const word = !agent.is_alive ? 'gone' : agent.is_draining ? 'drained' : 'working';
    const kind = { gone: 'failed', drained: 'waiting', working: 'success' }[word];
    return {
      key,
      cells: [
        h('th', { scope: 'row' }, said(agent.name, { class: 'name' })),
        h('td', {}, said(agent.host)),
        h('td', {}, h('span', { class: `state ${kind}` }, h('span', { 'aria-hidden': 'true' }, '●'), ` ${word}`),
          agent.is_publisher ? h('span', { class: 'quiet' }, ' publishes') : null),
        h('td', { class: 'number' }, agent.running),
        h('td', {}, said(agent.version)),
        h('td', {}, time(agent.started_at)),
        h('td', { class: 'actions' }, this.store.may.has('agents:drain') && (agent.is_draining
          ? button('Take up work', 'agent-undrain', { key, 'aria-label': `Have ${key} take events again` })
          : button('Drain', 'agent-drain', { key, 'aria-label': `Drain ${key}` }))),
      ],
    };
  }

  async act(action, key) {
    const change = async (verb) => {
      await this.api.ask('POST', path('agents', key, verb));
      await this.store.refresh(['agents']);
    };
    if (action === 'agent-undrain') return change('undrain');
    const others = this.store.lists.agents.items.some((one) => one.name !== key && one.is_alive && !one.is_draining);
    return openForm({
      title: ['Drain ', said(key), '?'], submit: 'Drain', danger: !others,
      body: [h('p', {}, 'It finishes what runs and takes nothing new until it is told to.'),
        others ? null : h('p', { class: 'warning' }, 'No other agent works: events will wait.')].filter(Boolean),
      send: () => change('drain'),
    });
  }
}

function poolRow(pool) {
  const isRead = pool.total_bytes !== null;
  const used = Math.max(pool.total_bytes - pool.free_bytes, 0);
  const percent = pool.total_bytes ? Math.round((100 * used) / pool.total_bytes) : 0;
  const most = pool.total_bytes * pool.max_over_subscription_ratio;
  return {
    key: pool.name,
    cells: [
      h('th', { scope: 'row' }, said(pool.name || 'default', { class: 'name' })),
      h('td', {}, pool.backend),
      h('td', {}, isRead && h('span', { class: 'progress' },
        h('meter', { min: 0, max: 100, low: 75, high: 90, optimum: 0, value: percent, 'aria-label': `${pool.name || 'default'}: ${percent} % used` }),
        h('span', { class: 'quiet' }, `${percent} % of ${size(pool.total_bytes)}`)),
        pool.state === 'known' ? null : silence(pool)),
      h('td', { class: 'number' }, isRead ? size(pool.free_bytes) : '–'),
      h('td', { class: 'number' }, isRead ? `${size(pool.provisioned_bytes)} of ${size(most)}` : size(pool.provisioned_bytes)),
      h('td', { class: 'number' }, pool.volumes),
      h('td', {}, pool.formats.join(', ')),
    ],
  };
}

// That a storage does not answer: what is shown may be otherwise by now.
function silence(pool) {
  return h('p', { class: 'warning' }, pool.read_at === null
    ? 'The storage has not said yet how full it is.' : ['The storage does not answer; this is from ', time(pool.read_at), '.']);
}
