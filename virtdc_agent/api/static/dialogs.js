// Dialogs, and how errors and results are said.

import { byId, focusMark, h, restoreFocus, said } from './dom.js';

let fieldNumber = 0;

// A labelled field. Returns {row, input, fail(text), name}.
export function field(name, label, input, { hint } = {}) {
  fieldNumber += 1;
  const id = `field-${fieldNumber}`;
  const error = h('p', { class: 'error', id: `${id}-error`, hidden: true });
  input.id = id;
  input.setAttribute('aria-describedby', [hint && `${id}-hint`, `${id}-error`].filter(Boolean).join(' '));
  const row = h('div', { class: 'field' }, h('label', { for: id }, label), input,
    hint ? h('p', { class: 'hint', id: `${id}-hint` }, hint) : null, error);
  return {
    name, row, input,
    fail(text) {
      error.textContent = text ?? '';
      error.hidden = !text;
      if (text) input.setAttribute('aria-invalid', 'true');
      else input.removeAttribute('aria-invalid');
    },
  };
}

// The sentence of an error, the fields at fault, and the request's id.
export function errorBox(error, known = []) {
  const others = (error.errors ?? []).filter((one) => !known.includes(one.field.split('.')[0]));
  const id = error.requestId;
  const copy = id ? h('button', { type: 'button', class: 'small', 'aria-label': `Copy the request id ${id}` }, 'Copy') : null;
  copy?.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(id);
      copy.textContent = 'Copied';
    } catch {
      copy.textContent = 'Select it, please';
    }
  });
  return h('div', { class: 'problem', role: 'alert' },
    h('p', {}, said(error.message)),
    others.length ? h('ul', {}, others.map((one) => h('li', {}, h('code', {}, one.field), ' ', said(one.detail)))) : null,
    id ? h('p', { class: 'request' }, 'Request ', h('code', {}, id), ' ', copy) : null);
}

// Ask for something in a dialog.
//
// send(): does it; what it throws is shown, and the dialog stays. It returns
// a text that keeps the dialog open as an error of ours, or nothing.
export function openForm({ title, body, fields = [], submit, danger = false, wide = false, send, ready }) {
  const mark = focusMark();
  const problem = h('div');
  const go = h('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, submit);
  const cancel = h('button', { type: 'button' }, 'Cancel');
  const heading = h('h2', { id: 'dialog-title' }, title);
  const form = h('form', { novalidate: true }, heading, body, problem,
    h('div', { class: 'actions' }, cancel, go));
  const dialog = h('dialog', { class: wide && 'wide', 'aria-labelledby': 'dialog-title' }, form);
  const judge = () => {
    const why = ready?.() ?? '';
    go.setAttribute('aria-disabled', why ? 'true' : 'false');
    go.title = why;
    return why;
  };
  form.addEventListener('input', judge);
  cancel.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (mark && !restoreFocus(mark)) byId('main').focus();
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (judge() || go.getAttribute('aria-busy') === 'true') return;
    for (const one of fields) one.fail('');
    problem.replaceChildren();
    go.setAttribute('aria-busy', 'true');
    try {
      await send();
      dialog.close();
    } catch (error) {
      show(error);
    } finally {
      go.removeAttribute('aria-busy');
    }
  });
  function show(error) {
    const known = fields.map((one) => one.name);
    for (const one of error.errors ?? []) {
      const name = one.field.split('.')[0];
      fields.find((item) => item.name === name)?.fail(`${one.field} ${one.detail}`);
    }
    problem.replaceChildren(errorBox(error, known));
    const first = fields.find((one) => one.input.getAttribute('aria-invalid'));
    first?.input.focus();
  }
  document.body.append(dialog);
  judge();
  dialog.showModal();
  // Firstly what is to be filled in, else what harms nobody.
  (form.querySelector('input, textarea, select') ?? cancel).focus();
  return { dialog, show };
}

// An error of ours, as the API would say it.
export function fault(message, name, detail) {
  const error = new Error(message);
  error.errors = name ? [{ field: name, detail: detail ?? message }] : [];
  return error;
}

// Show something to be read.
export function openPage(title, body) {
  const mark = focusMark();
  const close = h('button', { type: 'button', class: 'primary' }, 'Close');
  const dialog = h('dialog', { class: 'wide', 'aria-labelledby': 'dialog-title' },
    h('h2', { id: 'dialog-title' }, title), body, h('div', { class: 'actions' }, close));
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (mark) restoreFocus(mark);
  });
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
  return dialog;
}

// Say something in passing; what went wrong stays until it is closed.
export function toast(content, kind = '') {
  const close = h('button', { type: 'button', class: 'small', 'aria-label': 'Close this message' }, '×');
  const box = h('div', { class: `toast ${kind}` }, h('div', {}, content), close);
  close.addEventListener('click', () => box.remove());
  byId('toasts').append(box);
  if (kind !== 'failed') setTimeout(() => box.remove(), 8000);
  while (byId('toasts').children.length > 4) byId('toasts').firstElementChild.remove();
}

export const failed = (error) => toast(errorBox(error), 'failed');
