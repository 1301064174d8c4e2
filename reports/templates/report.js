'use strict';
// Filters, the cell that is open, copying and saving. The page reads without any of it.
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const form = one('#filters'), grid = one('#grid'), dialog = one('#cell'), body = one('#cell-body');
  const FIELDS = ['q', 'outcome', 'framework', 'dtype', 'device', 'mode', 'disagree'];
  const OPEN = ['undecided', 'unsupported', 'not run'];  // these disagree with nobody
  const say = text => { one('#said').textContent = text; };

  // The state is the hash: `#outcome=fails&open=cross_entropy/torch/cpu/eager`. A hash without `=` is an anchor.
  const hash = () => location.hash.slice(1);
  const state = () => new URLSearchParams(hash().includes('=') ? hash() : '');
  const link = params => '#' + params.toString().replaceAll('%2F', '/');

  const has = (list, word) => !word || list === undefined || list.split(' ').includes(word);

  function columns(filter) {
    const heads = all('thead tr:last-child th', grid);
    const view = filter.dtype || grid.dataset.view;
    const shown = heads.map(({dataset: d}) =>
      (!filter.framework || d.f === filter.framework) && has(d.v, filter.device) && has(d.m, filter.mode) &&
      (view === 'rolled' ? d.d === '' : view === 'split' ? d.d !== '' : d.d === view));
    heads.forEach((head, j) => { head.hidden = !shown[j]; });
    for (const group of all('thead tr:first-child th[data-p]', grid)) {
      const span = heads.filter((head, j) => shown[j] && head.dataset.p === group.dataset.p).length;
      group.hidden = !span;
      if (span) group.colSpan = span;
    }
    return shown;
  }

  function rows(filter, shown) {
    let count = 0;
    const every = all('tbody tr', grid);
    for (const row of every) {
      const cells = all('td', row), seen = new Set();
      cells.forEach((cell, j) => {
        cell.hidden = !shown[j];
        if (shown[j] && cell.dataset.o) seen.add(cell.dataset.o);
      });
      const judged = [...seen].filter(word => !OPEN.includes(word));
      const fits = row.dataset.c.toLowerCase().includes(filter.q) || criteria.has(row.dataset.c);
      row.hidden = !(fits && (!filter.outcome || seen.has(filter.outcome)) && (!filter.disagree || judged.length > 1));
      if (!row.hidden) count += 1;
    }
    return [count, every.length];
  }

  let criteria = new Set();  // those of which a finding holds the text that is sought

  function items(filter) {
    let count = 0;
    criteria = new Set();
    const dtype = ['rolled', 'split'].includes(filter.dtype) ? '' : filter.dtype;
    const every = all('main [data-c]:not(#grid tr)');
    for (const item of every) {
      const d = item.dataset;
      const fits = !filter.q || item.textContent.toLowerCase().includes(filter.q);
      item.hidden = !(fits && has(d.os, filter.outcome) && has(d.d, dtype) && has(d.v, filter.device) &&
        has(d.m, filter.mode) && (!filter.framework || d.f === undefined || d.f.split(', ').includes(filter.framework)));
      if (fits && item.matches('.finding')) d.c.split(' ').forEach(name => criteria.add(name));
      if (!item.hidden && item.matches('.finding')) count += 1;
    }
    for (const group of all('section.group')) {
      const mine = all('[data-c]', group);
      group.hidden = mine.length > 0 && mine.every(item => item.hidden);
    }
    return [count, every.filter(item => item.matches('.finding')).length];
  }

  function apply() {
    const params = state();
    if (form) {
      for (const name of FIELDS) {
        const field = form.elements[name], value = params.get(name) || '';
        if (name === 'disagree') field.checked = value === '1';
        else field.value = value || (name === 'dtype' ? grid.dataset.view : '');
        if (field.tagName === 'SELECT' && field.selectedIndex < 0) field.selectedIndex = 0;
      }
      filtered();
    }
    show(params.get('open'));
  }

  function filtered() {
    const filter = Object.fromEntries(FIELDS.map(name => [name, form.elements[name].value.trim()]));
    filter.disagree = form.elements.disagree.checked;
    filter.q = filter.q.toLowerCase();
    const [found, findings] = items(filter), [count, total] = rows(filter, columns(filter));
    one('#shown').textContent = `${count} of ${total} criteria shown; ${found} of ${findings} findings`;
  }

  function changed() {
    const params = state(), open = params.get('open');
    for (const name of FIELDS) {
      const field = form.elements[name];
      const value = name === 'disagree' ? (field.checked ? '1' : '') : field.value;
      if (value && !(name === 'dtype' && value === grid.dataset.view)) params.set(name, value); else params.delete(name);
    }
    if (!open) params.delete('open');
    history.replaceState(null, '', params.size ? link(params) : '#matrix');
    filtered();
  }

  // A cell opens in a dialog, as a copy: what it is a copy of stays where it stands for whoever reads on.
  function copy(node) {
    const twin = node.cloneNode(true);
    for (const each of [twin, ...all('[id]', twin)]) {
      if (each.id) each.dataset.id = each.id;
      each.removeAttribute('id');
      each.removeAttribute('aria-labelledby');
    }
    return twin;
  }

  let wanted = '', shownName = '';  // the place in the cell to go to; which cell is open
  function show(name) {
    const cell = name && all('[data-open]').find(each => each.dataset.open === name && !dialog.contains(each));
    if (!cell) {
      if (dialog.open) dialog.close();
      return;
    }
    if (dialog.open && shownName === name && !wanted) return;
    shownName = name;
    const says = one('.says', cell.closest('.criterion'));
    const heading = one('summary', cell.closest('details')).textContent;
    one('#cell-title').textContent = `${cell.closest('.criterion').dataset.c} in ${heading}`;
    body.replaceChildren(...(says ? [copy(says)] : []), copy(cell));
    reveal(body);
    if (!dialog.open) dialog.showModal();
    body.scrollTop = 0;
    const place = wanted && one(`[data-id="${CSS.escape(wanted)}"]`, body);
    wanted = '';
    if (place && place.matches('.exhibit')) place.scrollIntoView(); else body.focus();
  }

  function go(event) {
    const anchor = event.target.closest('a[href^="#"]');
    if (!anchor || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const id = anchor.getAttribute('href').slice(1);
    const inside = dialog.contains(anchor) && one(`[data-id="${CSS.escape(id)}"]`, body);
    const cell = !inside && document.getElementById(id)?.closest('[data-open]');
    if (inside) inside.scrollIntoView();
    else if (cell) {
      const params = state();
      params.set('open', cell.dataset.open);
      wanted = id;
      location.hash = link(params);
    } else {
      document.getElementById(id)?.scrollIntoView();  // the filters stay in the hash
    }
    event.preventDefault();
  }

  const reveal = root => all('.copy, .save', root).forEach(button => { button.hidden = false; });

  async function copied(button) {
    const source = one('pre, code', button.parentElement), text = source.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(source);
      document.execCommand('copy');
    }
    const label = button.textContent;
    button.textContent = 'Copied';
    say('Copied');
    setTimeout(() => { button.textContent = label; say(''); }, 1500);
  }

  async function save(button) {
    const data = one('#' + button.dataset.from);
    const bytes = Uint8Array.from(atob(data.textContent), letter => letter.charCodeAt(0));
    const json = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
    const url = URL.createObjectURL(new Blob([await new Response(json).arrayBuffer()], {type: 'application/json'}));
    const anchor = document.createElement('a');
    anchor.href = url;
    anchor.download = data.dataset.name;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  document.addEventListener('click', event => {
    const button = event.target.closest('button');
    if (button?.matches('.copy')) copied(button);
    else if (button?.matches('.save')) save(button);
    else if (button?.id === 'close' || event.target === dialog) dialog.close();
    else go(event);
  });
  dialog.addEventListener('close', () => {
    const params = state();
    if (!params.has('open')) return;
    params.delete('open');
    history.pushState(null, '', params.size ? link(params) : '#matrix');
  });
  addEventListener('hashchange', () => { if (!hash() || hash().includes('=')) apply(); });
  if (form) {
    form.hidden = false;
    form.addEventListener('input', changed);
    form.addEventListener('reset', () => setTimeout(changed));
    form.addEventListener('submit', event => event.preventDefault());
  }
  reveal(document);
  apply();
})();
