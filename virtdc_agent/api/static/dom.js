// Builds elements. Text is always text: nothing here parses markup, and the
// page's policy (trusted types) refuses whatever would.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

// Make an element: h('td', {class: 'size'}, 'text', other, [more]).
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export const byId = (id) => document.getElementById(id);

// A text of a user's: isolated, so that its direction does not leak.
export const said = (text, attributes) => h('bdi', attributes, text);

export function button(label, action, { key, why, ...more } = {}) {
  return h('button', {
    type: 'button',
    'data-action': action,
    'data-key': key,
    // Not "disabled": that could not be reached by keyboard, and so not
    // say why.
    'aria-disabled': why ? 'true' : null,
    title: why,
    'aria-label': why ? `${more['aria-label'] ?? label}: not now, ${why}` : null,
    ...(why ? without(more, 'aria-label') : more),
  }, label);
}

function without(object, name) {
  const { [name]: _, ...rest } = object;
  return rest;
}

// Say where the focus is in a way that outlives a redrawing.
export function focusMark() {
  const element = document.activeElement;
  const action = element?.dataset?.action;
  if (!action) return null;
  return { action, key: element.dataset.key };
}

export function restoreFocus(mark) {
  if (!mark) return false;
  for (const element of document.querySelectorAll('[data-action]')) {
    if (element.dataset.action === mark.action && element.dataset.key === mark.key) {
      element.focus();
      return true;
    }
  }
  return false;
}

// Make a table's body hold these rows, touching only what differs.
// rows: [{key, cells: [element], class}]
export function drawRows(body, rows) {
  const mark = body.contains(document.activeElement) ? focusMark() : null;
  const present = new Map();
  for (const row of body.rows) present.set(row.dataset.row, row);
  // A narrow page shows each cell with its title, as a block: browsers then
  // take it for no table, unless its roles are said.
  const titles = [...body.parentNode.querySelectorAll('thead th')].map((head) => head.textContent);
  for (const row of rows) {
    row.cells.forEach((cell, at) => {
      cell.dataset.title = titles[at];
      cell.setAttribute('role', cell.tagName === 'TH' ? 'rowheader' : 'cell');
    });
  }
  let place = body.firstElementChild;
  for (const wanted of rows) {
    let row = present.get(wanted.key);
    present.delete(wanted.key);
    if (!row) {
      row = h('tr', { 'data-row': wanted.key, role: 'row' });
      row.append(...wanted.cells);
    } else {
      drawCells(row, wanted.cells);
    }
    if (row.className !== (wanted.class ?? '')) row.className = wanted.class ?? '';
    if (row === place) {
      place = place.nextElementSibling;
    } else {
      body.insertBefore(row, place);
    }
  }
  for (const row of present.values()) row.remove();
  if (mark && !body.contains(document.activeElement)) restoreFocus(mark);
}

function drawCells(row, cells) {
  if (row.cells.length !== cells.length) {
    row.replaceChildren(...cells);
    return;
  }
  cells.forEach((cell, at) => {
    const old = row.cells[at];
    if (!old.isEqualNode(cell)) old.replaceWith(cell);
  });
}

// Likewise for the children of any element.
export function draw(element, ...children) {
  const wanted = children.flat(3).filter((child) => child);
  const same = element.childNodes.length === wanted.length
    && wanted.every((child, at) => child instanceof Node && element.childNodes[at].isEqualNode(child));
  if (same) return;
  const mark = element.contains(document.activeElement) ? focusMark() : null;
  element.replaceChildren(...wanted);
  if (mark) restoreFocus(mark);
}

// A table: columns are [{title, class, hidden}].
export function table(caption, columns) {
  const body = h('tbody', { role: 'rowgroup' });
  const element = h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    h('table', { role: 'table' },
      h('caption', { class: 'visually-hidden' }, caption),
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, columns.map((column) => h('th', { scope: 'col', role: 'columnheader', class: column.class },
        column.quiet ? h('span', { class: 'visually-hidden' }, column.title) : column.title)))),
      body));
  return { element, body };
}
