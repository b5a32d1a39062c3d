// What is to be done: the first screen, the search, a household, sending, how it looks.
import {
    h,
    icon,
    sev,
    button,
    authored,
    show,
    sheet,
    item,
    get,
    poll,
    post,
    trouble,
    setLook,
    theme,
    bytes,
    day,
    money,
    left,
    setState,
} from './ui.js';
import { t, lang } from './words.js';
import { go, home } from './app.js';
import { locked, practise_, report } from './device.js';
import { open } from './visit.js';

let seen = null; // the last list, shown at once while a new one comes
let filter = 'visit';

const both = (x, name) => x[`${name}_${lang()}`];
const visitable = (r) =>
    r.leads > 0 || r.draft || !r.last_visit || ['red', 'yellow', 'unknown'].includes(r.level);
export const link = (s) => {
    const on = s.sync.link && s.enrolled;
    return [icon(on ? 'signal' : 'offline'), h('span', null, on ? t('signal') : t('no_signal'))];
};

// ---- a row: who, by when, why ----
function reason(r) {
    if (r.leads) return r.source ? t('lead_from', r.source) : t('lead');
    if (!r.last_visit) return t('never');
    return r.level && r.level !== 'none' ? t(r.level) : t('last', day(r.last_visit));
}
function row(r, wrong) {
    const level = r.leads && r.left < 0 ? 'red' : r.level || (r.leads ? 'yellow' : 'none');
    const when = r.left === undefined ? '' : wrong ? t('due_unknown') : left(r.left);
    return h(
        'li',
        null,
        h(
            'a',
            { href: '#/h/' + encodeURIComponent(r.code) },
            sev(level),
            h(
                'span',
                { class: 'who' },
                h(
                    'span',
                    { class: 'line1' },
                    h('b', { dir: 'auto' }, r.name),
                    level !== 'none' && h('span', { class: 'hide' }, t(level) + '，'),
                    (when || r.draft) &&
                        h(
                            'span',
                            { class: r.left < 0 && !wrong ? 'over' : 'note' },
                            [when, r.draft && t('draft')].filter(Boolean).join(' · '),
                        ),
                ),
                h('span', { class: 'note', dir: 'auto' }, reason(r) + (r.address ? ' · ' + r.address : '')),
            ),
        ),
    );
}
const field = (oninput) =>
    h('input', {
        class: 'field',
        id: 'q',
        type: 'text',
        autocomplete: 'off',
        placeholder: t('find_hint'),
        'aria-label': t('find'),
        dir: 'auto',
        oninput,
    });

// ---- today ----
export async function today() {
    if (seen) drawToday(seen);
    else show({ title: t('today'), main: h('p', { class: 'note' }, t('opening')) });
    try {
        seen = await get('today');
        if (!location.hash.replace(/^#?\/?/, '')) drawToday(seen, true);
    } catch (e) {
        if (!seen && e.error !== 'session') show({ title: t('today'), main: trouble(e, today) });
    }
}
const chips = {
    visit: ['to_visit', visitable],
    drafts: ['drafts', (r) => r.draft],
    all: ['all', () => true],
};
function drawToday(r, keep) {
    const s = r.state,
        list = r.rows.filter(chips[filter][1]);
    const q = field(() => go('#/find'));
    q.addEventListener('focus', () => go('#/find'));
    const sun = button(
        t('sun'),
        () => {
            setLook('theme', theme() === 'sun' ? 'light' : 'sun');
            sun.setAttribute('aria-pressed', String(theme() === 'sun'));
        },
        { 'aria-pressed': String(theme() === 'sun') },
        'sun',
    );
    show({
        title: t('today'),
        state: link(s),
        menu,
        keep,
        main: [
            h('div', { class: 'search' }, q, sun),
            warnings(s),
            h(
                'div',
                { class: 'chips' },
                Object.keys(chips).map((k) =>
                    h(
                        'button',
                        {
                            type: 'button',
                            class: 'chip',
                            'aria-pressed': String(k === filter),
                            onclick: () => {
                                filter = k;
                                drawToday(r);
                            },
                        },
                        `${t(chips[k][0])} ${k === 'all' ? r.count : r.rows.filter(chips[k][1]).length}`,
                    ),
                ),
            ),
            !s.enrolled &&
                h(
                    'div',
                    { class: 'card' },
                    h('p', null, t('nobody')),
                    button(t('enrol'), () => go('#/enrol')),
                ),
            list.length
                ? h(
                      'ul',
                      { class: 'rows' },
                      list.map((x) => row(x, s.clock_wrong)),
                  )
                : s.enrolled &&
                  h(
                      'div',
                      { class: 'card soft' },
                      h('p', null, r.count ? t('nothing_today') : t('nobody')),
                      r.count > 0 &&
                          button(t('see_all', r.count), () => {
                              filter = 'all';
                              drawToday(r);
                          }),
                  ),
            theme() === 'dark' && h('p', { class: 'note' }, t('sun_hint')),
        ],
        bar: [
            button(
                t('send'),
                () => {
                    post('sync').catch(() => 0);
                    go('#/sync');
                },
                { class: 'main' },
                'waiting',
            ),
        ],
        barNote: waiting(s),
    });
}
export function waiting(s) {
    const n = s.unsent + s.waiting;
    return n || s.files
        ? `${t('to_send', n + s.files, bytes(s.waiting_bytes + s.file_bytes))} · ${t('safe')}`
        : `${t('all_sent')} · ${t('signed', s.receipted)}`;
}
function warnings(s) {
    const list = [
        s.clock_wrong && t('clock_wrong'),
        s.disk_low && t('disk_low'),
        s.battery !== undefined && s.battery < 15 && t('battery', s.battery),
        s.over && t('sync_denied'),
    ].filter(Boolean);
    return list.map((x) => h('p', { class: 'card soft', role: 'status' }, x));
}
function menu() {
    sheet(t('menu'), [
        item(t('find'), () => go('#/find'), 'search'),
        item(t('send'), () => go('#/sync'), 'waiting'),
        item(
            `${t('conflicts')}${seen && seen.state.conflicts ? ' ' + seen.state.conflicts : ''}`,
            () => go('#/conflicts'),
            'menu',
        ),
        item(t('practise'), practise_, 'pen'),
        item(t('settings'), () => go('#/settings'), 'menu'),
        item(t('help'), () => go('#/help'), 'search'),
        item(t('lock_now'), () => post('lock').then(locked, () => go('#/pin')), 'lock'),
    ]);
}

// ---- search ----
export function find() {
    const count = h('p', { class: 'note', role: 'status' }),
        list = h('ul', { class: 'rows' });
    let asked = 0;
    const ask = async () => {
        const mine = ++asked;
        try {
            const r = await get('find', { q: q.value.trim() });
            if (mine !== asked) return;
            list.replaceChildren(...r.rows.map((x) => row(x)));
            count.textContent = r.count ? t('found_of', r.count, r.all) : t('none_found');
        } catch (e) {
            list.replaceChildren(trouble(e, ask));
        }
    };
    const q = field(ask);
    show({
        title: t('find'),
        back: home,
        focus: q,
        main: [
            h(
                'div',
                { class: 'search' },
                q,
                h(
                    'button',
                    {
                        type: 'button',
                        'aria-label': t('clear'),
                        onclick: () => {
                            q.value = '';
                            q.focus();
                            ask();
                        },
                    },
                    icon('close'),
                ),
            ),
            count,
            list,
        ],
    });
    ask();
}

// ---- one household ----
export async function household(code) {
    show({ title: code, back: home, main: h('p', { class: 'note' }, t('opening')) });
    try {
        const [r, s] = await Promise.all([get('household', { code }), get('state')]);
        drawHousehold(r, s.state);
    } catch (e) {
        show({ title: code, back: home, main: trouble(e, () => household(code)) });
    }
}
const channel = (l) =>
    l.channel === 'department'
        ? l.source || t('department')
        : t(l.channel) + (l.source ? ' · ' + l.source : '');
function lead(l, code, names) {
    const late = l.left < 0;
    return h(
        'article',
        { class: 'card finding ' + (late ? 'red' : 'yellow') },
        h(
            'h2',
            null,
            sev(late ? 'red' : 'yellow'),
            h('span', null, t('lead_from', channel(l))),
            l.left !== undefined && h('span', { class: late ? 'over' : 'note' }, left(l.left)),
        ),
        l.note && h('p', { dir: 'auto' }, l.note),
        values(l.indicators, names),
        h(
            'p',
            { class: 'note' },
            [day(l.opened), both(l, 'step'), l.left !== undefined && both(l, 'clock')]
                .filter(Boolean)
                .join(' · '),
        ),
        l.open &&
            h(
                'div',
                { class: 'buttons' },
                button(t('verify'), () => go(`#/lead/${encodeURIComponent(code)}/${l.lead}`)),
            ),
    );
}
const values = (o, names) =>
    o &&
    Object.keys(o).length > 0 &&
    h(
        'dl',
        { class: 'values' },
        Object.entries(o).flatMap(([k, v]) => [
            h('dt', { dir: 'auto' }, names && names[k] ? names[k][lang() === 'zh' ? 0 : 1] : k),
            h('dd', { dir: 'auto' }, money(String(v && v.value !== undefined ? v.value : v))),
        ]),
    );
function drawHousehold(r, s) {
    const open_ = r.leads.filter((l) => l.open),
        closed = r.leads.filter((l) => !l.open);
    const start = (body) =>
        open({ household: r.code, ...body }).catch((e) =>
            show({ title: r.name, back: home, main: trouble(e, () => household(r.code)) }),
        );
    const choose = () =>
        r.forms.length === 1
            ? start({ form: r.forms[0].id })
            : sheet(
                  t('which_form'),
                  r.forms.map((f) => item(f.title, () => start({ form: f.id }))),
              );
    const dept = r.department && (r.department.values || r.department);
    show({
        title: r.name,
        back: home,
        state: link(s),
        main: [
            h('p', null, authored(r.address || r.code)),
            h(
                'p',
                { class: 'note num' },
                [r.code, r.last_visit ? t('last', day(r.last_visit)) : t('never')].join(' · '),
            ),
            r.level && r.level !== 'none' && h('p', { class: 'chips' }, sev(r.level), t(r.level)),
            open_.map((l) => lead(l, r.code, r.names)),
            dept &&
                h(
                    'details',
                    { open: !open_.length },
                    h(
                        'summary',
                        null,
                        t('department_says') +
                            (r.department_as_of ? ' · ' + t('as_of', day(r.department_as_of)) : ''),
                    ),
                    values(flat(dept), r.names),
                ),
            r.history.length > 0 &&
                h(
                    'details',
                    null,
                    h('summary', null, t('history', r.history.length)),
                    h(
                        'ul',
                        { class: 'rows' },
                        r.history.map((v) =>
                            h(
                                'li',
                                null,
                                h(
                                    'p',
                                    { class: 'note' },
                                    day(v.ended) + ' · ' + (v.here ? t('this_device') : t('other_device')),
                                ),
                            ),
                        ),
                    ),
                ),
            closed.length > 0 &&
                h(
                    'details',
                    null,
                    h('summary', null, `${t('closed')} ${closed.length}`),
                    closed.map((l) => lead(l, r.code, r.names)),
                ),
            !r.forms.length && h('p', { class: 'card soft' }, t('no_forms')),
            h(
                'div',
                { class: 'buttons' },
                button(t('report_lead'), () => report(r.code, r.name), null, 'plus'),
            ),
        ],
        bar: r.forms.length
            ? [
                  r.history.some((v) => v.here) &&
                      !r.draft &&
                      button(t('edit_again'), () => start({ form: r.forms[0].id, edit: r.code })),
                  button(r.draft ? t('resume') : t('start'), choose, { class: 'main', id: 'start' }),
              ]
            : [],
    });
}
const flat = (d) => {
    const out = {};
    for (const [k, v] of Object.entries(d))
        out[k] = v && typeof v === 'object' ? (v.value !== undefined ? v.value : JSON.stringify(v)) : v;
    return out;
};

// ---- sending ----
let timer = 0;
export async function sync() {
    clearTimeout(timer);
    try {
        const r = await poll('state');
        if (location.hash !== '#/sync') return;
        drawSync(r.state);
    } catch (e) {
        if (location.hash === '#/sync') show({ title: t('send'), back: home, main: trouble(e, sync) });
    }
    timer = setTimeout(sync, 1500);
}
let drawn = '';
function drawSync(s) {
    const key = JSON.stringify([s.sync, s.waiting, s.unsent, s.receipted, s.files, lang()]);
    if (key === drawn && document.getElementById('sending')) return;
    drawn = key;
    const x = s.sync.last || {},
        n = s.unsent + s.waiting;
    const result = s.sync.running
        ? t('syncing')
        : !s.enrolled
          ? t('sync_state')
          : !s.sync.beside
            ? t('sync_off')
            : x.login_page
              ? t('sync_portal')
              : s.sync.result === 'ok'
                ? n
                    ? t('to_send', n, bytes(s.waiting_bytes))
                    : t('sync_ok')
                : s.sync.result === 'net'
                  ? t('sync_net')
                  : s.sync.result === 'denied'
                    ? t('sync_denied')
                    : s.sync.result
                      ? t('sync_net')
                      : t('all_sent');
    const main = [
        h(
            'div',
            { id: 'sending', class: 'card soft', role: 'status' },
            h('p', null, h('b', null, result)),
            s.sync.running &&
                h(
                    'p',
                    { class: 'num' },
                    t('sync_left', bytes((x.bytes_waiting || 0) + (x.file_bytes_waiting || 0))),
                ),
        ),
        h(
            'ul',
            { class: 'steps' },
            h(
                'li',
                null,
                icon('saved'),
                `${t('waiting_answers')}：${t('to_send', n, bytes(s.waiting_bytes))}`,
            ),
            s.files > 0 && h('li', null, icon('camera'), t('photos_later', s.files, bytes(s.file_bytes))),
            h('li', { class: 'done' }, icon('signed'), t('signed', s.receipted)),
            s.quarantined > 0 && h('li', null, icon('close'), t('sync_quarantined', s.quarantined)),
            s.objects_missing > 0 && h('li', null, icon('down'), t('objects', s.objects_missing)),
        ),
        h(
            'p',
            { class: 'note' },
            s.last_contact
                ? t('last_contact', day(s.last_contact) + ' ' + s.last_contact.slice(11, 16))
                : t('no_contact'),
        ),
        h('p', { class: 'note' }, t('safe')),
    ];
    if (document.getElementById('sending')) {
        document.getElementById('main').replaceChildren(...main.flat(9).filter(Boolean));
        setState(...link(s));
        return;
    }
    show({
        title: t('send'),
        back: home,
        state: link(s),
        main,
        bar: [
            button(t('courier'), () => go('#/courier')),
            button(
                t('send'),
                () =>
                    post('sync').then(
                        () => {
                            drawn = '';
                            sync();
                        },
                        () => 0,
                    ),
                { class: 'main' },
                'waiting',
            ),
        ],
    });
}
