// What every screen is made of. Text that a form, a person or a file wrote goes into the page as text,
// never as markup, and carries
// dir="auto", because nobody knows in which script it is.
import { t, lang, setLang } from './words.js';

// h('p', {class: 'note'}, 'text', child, [children]): an element. Properties that are functions are
// listeners; null and false are left out.
export function h(tag, props, ...children) {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(props || {})) {
        if (v === null || v === undefined || v === false) continue;
        if (typeof v === 'function') e.addEventListener(k.slice(2), v);
        else if (k === 'value' || k === 'checked' || k === 'disabled') e[k] = v;
        else e.setAttribute(k, v === true ? '' : v);
    }
    add(e, children);
    return e;
}
function add(e, children) {
    for (const c of children) {
        if (c === null || c === undefined || c === false) continue;
        if (Array.isArray(c)) add(e, c);
        else e.append(c);
    }
}
const SVG = 'http://www.w3.org/2000/svg';
export function svg(name, cls) {
    const s = document.createElementNS(SVG, 'svg'),
        u = document.createElementNS(SVG, 'use');
    s.setAttribute('class', cls);
    s.setAttribute('aria-hidden', 'true');
    u.setAttribute('href', '#i-' + name);
    s.append(u);
    return s;
}
export const icon = (name, flip) => svg(name, flip ? 'i flip' : 'i');
export const sev = (level) => svg(level === 'none' || !level ? 'unknown' : level, 'sev ' + (level || 'none'));
export const authored = (text, props) => h('span', { dir: 'auto', ...props }, text);
export const button = (text, onclick, props, name) =>
    h('button', { type: 'button', onclick, ...props }, name && icon(name), text);

const $ = (id) => document.getElementById(id);
let leaving = null;

// One screen: title, state word, back, menu, main content, at most three buttons at the bottom, where the
// focus goes.
export function show(s) {
    if (leaving) leaving();
    leaving = s.leave || null;
    closeSheets();
    document.title = (s.error ? t('title_error') : '') + s.title + ' · ' + t('app');
    $('skip').textContent = t('skip');
    const h1 = h('h1', { tabindex: '-1', dir: 'auto' }, s.title);
    $('top').replaceChildren(
        ...(s.back
            ? [
                  h(
                      'button',
                      { type: 'button', class: 'plain', 'aria-label': t('back'), onclick: s.back },
                      icon('back', true),
                  ),
              ]
            : []),
        h1,
        stateWord(s.state),
        ...(s.menu
            ? [
                  h(
                      'button',
                      {
                          type: 'button',
                          class: 'plain',
                          id: 'menu',
                          'aria-label': t('menu'),
                          onclick: s.menu,
                      },
                      icon('menu'),
                  ),
              ]
            : []),
    );
    $('main').replaceChildren();
    add($('main'), [s.main]);
    bar(s.bar, s.barNote);
    if (!s.keep) scrollTo(0, 0);
    const to = s.focus || h1;
    to.focus({ preventScroll: !s.focus });
    if (s.focus) to.scrollIntoView({ block: 'center' });
}
export function bar(buttons, note) {
    const list = (buttons || []).filter(Boolean);
    $('bar').replaceChildren(
        ...(note ? [h('p', { class: 'note' }, note)] : []),
        ...(list.length ? [h('div', { class: 'row' }, list)] : []),
    );
}
function stateWord(text) {
    const p = h('p', { class: 'state', id: 'state', role: 'status' });
    if (text) add(p, [].concat(text));
    return p;
}
export function setState(...parts) {
    const p = $('state');
    if (p) p.replaceChildren(...parts);
}
let saidAt = 0;
export function say(text, always) {
    const now = Date.now();
    if (!always && now - saidAt < 5000) return;
    saidAt = now;
    $('said').textContent = text;
}

// A sheet of buttons or fields; focus goes in, and back to where it was.
export function sheet(title, content) {
    const before = document.activeElement;
    const head = h('h2', { id: 'sheet-title', tabindex: '-1', dir: 'auto' }, title);
    const d = h(
        'dialog',
        { 'aria-labelledby': 'sheet-title' },
        h(
            'div',
            { class: 'inside' },
            head,
            content,
            button(t('close'), () => d.close(), null, 'close'),
        ),
    );
    d.addEventListener('click', (e) => {
        if (e.target === d) d.close();
    });
    d.addEventListener('close', () => {
        d.remove();
        if (before && before.isConnected) before.focus();
    });
    document.body.append(d);
    d.showModal();
    const first = d.querySelector('input, textarea, button');
    (first || head).focus();
    return d;
}
export function closeSheets() {
    for (const d of document.querySelectorAll('dialog')) d.close();
}
export const item = (text, run, name, props) =>
    button(
        text,
        (e) => {
            e.target.closest('dialog').close();
            run();
        },
        props,
        name,
    );
// The safe answer first and focused; the other one names the loss.
export const confirmLoss = (title, text, keep, lose, run) =>
    sheet(title, [
        h('p', null, text),
        h(
            'div',
            { class: 'buttons' },
            item(keep, () => 0),
            item(lose, run, null, { class: 'danger' }),
        ),
    ]);

// ---- asking the agent ----
let down = false;
const listeners = [];
export const onAgent = (f) => listeners.push(f);
async function request(path, options) {
    let r;
    try {
        r = await fetch('/api/' + path, {
            ...options,
            headers: {
                'X-Doorstep': options && options.self ? 'self' : '1',
                ...(options && options.headers),
            },
        });
    } catch (e) {
        if (!down) listeners.forEach((f) => f('down'));
        down = true;
        throw Object.assign(new Error('down'), { error: 'down' });
    }
    if (down) listeners.forEach((f) => f('up'));
    down = false;
    const body = await r.json().catch(() => ({ error: 'report', text: '' }));
    if (r.status === 401) listeners.forEach((f) => f('locked', body));
    if (!r.ok) throw Object.assign(new Error(body.text || body.error), body);
    return body;
}
export const get = (path, q) => request(path + (q ? '?' + new URLSearchParams(q) : ''));
export const poll = (path) => request(path, { self: true }); // asked by the page, not by a person
export const post = (path, body) =>
    request(path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body || {}),
    });
export const put = (path, q, blob) =>
    request(path + '?' + new URLSearchParams(q), {
        method: 'POST',
        headers: { 'Content-Type': 'application/octet-stream' },
        body: blob,
    });

// What happened, what it means for the data, what to do; the code is for an engineer.
export function trouble(e, again) {
    const key = 'err_' + e.error;
    const text =
        e.error === 'down'
            ? t('restarting')
            : t(key) !== key
              ? t(key)
              : (lang() === 'zh' ? e.todo_zh : e.todo_en) || e.text || '';
    return h(
        'div',
        { class: 'card warn', role: 'alert' },
        h('p', null, text),
        e.text &&
            e.error !== 'down' &&
            h(
                'details',
                null,
                h('summary', null, t('for_engineer')),
                h('p', { class: 'note' }, e.error + ': ' + e.text),
            ),
        again && button(t('again'), again),
    );
}

// ---- how it looks: kept on this machine, nothing of it leaves ----
const root = document.documentElement;
const kept = (k, or) => {
    try {
        return localStorage.getItem(k) || or;
    } catch (e) {
        return or;
    }
};
export function setLook(k, v) {
    try {
        localStorage.setItem(k, v);
    } catch (e) {
        /* private mode: for this time only */
    }
    look();
}
export const theme = () => root.dataset.theme;
export const size = () => root.dataset.size;
export const setting = (k, or) => kept(k, or);
export function look() {
    const prefers = (q) => matchMedia(q).matches;
    root.dataset.theme = kept(
        'theme',
        prefers('(prefers-contrast: more)')
            ? 'sun'
            : prefers('(prefers-color-scheme: dark)')
              ? 'dark'
              : 'light',
    );
    root.dataset.size = kept('size', '1');
    setLang(kept('lang', /^en/i.test(navigator.language) ? 'en' : 'zh'));
    root.lang = lang() === 'zh' ? 'zh-CN' : 'en';
    root.dir = kept('dir', 'ltr');
}

// ---- words with numbers ----
export const bytes = (n) =>
    n < 1000 ? n + ' ' + t('bytes') : n < 1e6 ? (n / 1000).toFixed(1) + ' KB' : (n / 1e6).toFixed(1) + ' MB';
export function day(iso) {
    const m = /^(\d{4})-(\d\d)-(\d\d)/.exec(iso || '');
    if (!m) return '';
    return lang() === 'zh'
        ? `${+m[1]}年${+m[2]}月${+m[3]}日`
        : `${+m[3]} ${t('months').split(' ')[m[2] - 1]} ${m[1]}`;
}
export const money = (v) => (/^-?\d+$/.test(v) ? v.replace(/\B(?=(\d{3})+$)/g, ',').replace('-', '−') : v);
export const left = (n) => (n < 0 ? t('over', -n) : n === 0 ? t('due_today') : t('left', n));
