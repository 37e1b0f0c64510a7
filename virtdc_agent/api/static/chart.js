// A small chart of a limit over time. Pure: points in, an SVG out.

import { svg } from './dom.js';
import { duration } from './format.js';

const WIDTH = 480;
const HEIGHT = 120;
const LEFT = 30;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 20;

// points: [{at, limit, running}], in order.
export function chart(points, label) {
  const last = points.at(-1);
  const words = last ? `${label}. Now: limit ${last.limit}, running ${last.running}.` : `${label}. Nothing yet.`;
  const drawing = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': words, class: 'chart' });
  if (points.length < 2) {
    drawing.append(svg('text', { x: WIDTH / 2, y: HEIGHT / 2, 'text-anchor': 'middle' }, 'nothing to draw yet'));
    return drawing;
  }
  const times = points.map((point) => Date.parse(point.at));
  const [begin, end] = [times[0], times.at(-1)];
  const highest = Math.max(...points.map((point) => Math.max(point.limit, point.running)), 1);
  const top = nice(highest);
  const x = (at) => LEFT + ((at - begin) / Math.max(end - begin, 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  for (const value of [0, top / 2, top]) {
    drawing.append(svg('line', { class: 'grid', x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
      svg('text', { x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, value));
  }
  // A limit holds until the next: steps, not slopes.
  const steps = points.map((point, at) => `${at ? `H${x(times[at])}` : `M${x(times[at])} ${y(point.limit)}`}V${y(point.limit)}`).join('');
  const area = points.map((point, at) => `${at ? 'L' : 'M'}${x(times[at])} ${y(point.running)}`).join('');
  drawing.append(
    svg('path', { class: 'running', d: `${area}L${x(end)} ${y(0)}L${x(begin)} ${y(0)}Z` }),
    svg('path', { class: 'limit', d: steps }),
    svg('text', { x: LEFT, y: HEIGHT - 5 }, `${duration((end - begin) / 1000)} ago`),
    svg('text', { x: WIDTH - RIGHT, y: HEIGHT - 5, 'text-anchor': 'end' }, 'now'),
    svg('text', { x: WIDTH / 2, y: HEIGHT - 5, 'text-anchor': 'middle', class: 'key' },
      svg('tspan', { class: 'limit-key' }, '━ limit'), '   ', svg('tspan', { class: 'running-key' }, '■ running')));
  return drawing;
}

// The next number whose half is whole, too.
function nice(value) {
  const step = [2, 4, 10, 20, 40, 100, 200, 400, 1000, 2000, 4000].find((one) => one >= value);
  return step ?? Math.ceil(value / 2000) * 2000;
}
