// The device and its people: unlock, joining a county, cards, practising, what two people answered
// differently, leads at the door,
// help and the words about what this is.
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
    post,
    trouble,
    setLook,
    theme,
    size,
    setting,
    bytes,
    day,
    money,
    left,
    say,
    look,
} from './ui.js';
import { t, lang } from './words.js';
import { go, home, again } from './app.js';
import { practise } from './visit.js';
import { newId } from './inputs.js';

// ---- a PIN is typed on the screen or on keys; six digits, no confirming ----
const DIGITS = 6;
function pinPad(done) {
    let typed = '';
    const dots = h('p', { class: 'number-big', 'aria-hidden': 'true' }),
        count = h('p', { class: 'hide', role: 'status' });
    const paint = () => {
        dots.textContent = '●'.repeat(typed.length) + '○'.repeat(DIGITS - typed.length);
        count.textContent = t('of', typed.length, DIGITS);
    };
    const press = (k) => {
        if (k === 'del') typed = typed.slice(0, -1);
        else if (typed.length < DIGITS) typed += k;
        paint();
        if (typed.length === DIGITS) {
            const pin = typed;
            typed = '';
            done(pin, paint);
        }
    };
    const key = (k) => h('button', { type: 'button', onclick: () => press(k) }, k);
    const el = h(
        'div',
        { class: 'pinpad' },
        dots,
        count,
        h(
            'div',
            { class: 'pad three', role: 'group', 'aria-label': t('pad') },
            '123456789'.split('').map(key),
            h('span'),
            key('0'),
            h('button', { type: 'button', onclick: () => press('del') }, t('del')),
        ),
    );
    el.addEventListener('paste', (e) =>
        [...e.clipboardData.getData('text')].filter((c) => /\d/.test(c)).forEach(press),
    );
    const keys = (e) => {
        if (!el.isConnected) {
            removeEventListener('keydown', keys);
            return;
        }
        if (/^\d$/.test(e.key)) press(e.key);
        else if (e.key === 'Backspace') press('del');
    };
    addEventListener('keydown', keys);
    paint();
    return el;
}
export async function locked() {
    let r;
    try {
        r = await get('lock');
    } catch (e) {
        show({ title: t('locked'), main: trouble(e, locked) });
        return;
    }
    const people = r.people.filter((p) => p.pin);
    if (!people.length) {
        show({
            title: t('locked'),
            main: [h('p', null, icon('lock'), ' ', t('locked')), h('p', { class: 'note' }, t('locked_text'))],
        });
        return;
    }
    let who = people.find((p) => p.here) || people[0];
    const err = h('p', { class: 'error', role: 'alert' });
    const until = Date.now() + r.wait_ms;
    if (r.wait_ms) err.textContent = t('wait', Math.ceil(r.wait_ms / 1000));
    const pad = pinPad(async (pin, paint) => {
        err.textContent = '';
        try {
            await post('unlock', { person: who.id, pin });
            location.hash = '#/';
            location.reload();
        } catch (e) {
            paint();
            const again_ = await get('lock').catch(() => ({ wait_ms: 0 }));
            err.textContent = again_.wait_ms
                ? t('wait', Math.ceil(again_.wait_ms / 1000))
                : e.error === 'denied'
                  ? t('wrong_pin')
                  : e.text;
        }
    });
    const names = h(
        'div',
        { class: 'buttons', role: 'group', 'aria-label': t('who') },
        people.map((p) =>
            h(
                'button',
                {
                    type: 'button',
                    'aria-pressed': String(p === who),
                    onclick: (e) => {
                        who = p;
                        [...names.children].forEach((b) =>
                            b.setAttribute('aria-pressed', String(b === e.currentTarget)),
                        );
                    },
                },
                authored(p.name || t('me')),
            ),
        ),
    );
    show({
        title: t('app'),
        main: [
            h('h2', null, t('who')),
            names,
            h('p', null, t('enter_pin')),
            pad,
            err,
            h('details', null, h('summary', null, t('forgot')), h('p', null, t('forgot_text'))),
            h('p', { class: 'note' }, t('lock_honest')),
        ],
    });
    if (until > Date.now()) setTimeout(() => err.isConnected && locked(), until - Date.now() + 200);
}

// ---- settings ----
export async function settings() {
    const s = (await get('state').catch(() => ({ state: null }))).state,
        l = await get('lock').catch(() => null);
    const choice = (name, values, now, set) =>
        h(
            'fieldset',
            { class: 'q' },
            h('legend', null, h('h2', null, name)),
            h(
                'div',
                { class: 'chips' },
                values.map(([v, text]) =>
                    h(
                        'button',
                        {
                            type: 'button',
                            class: 'chip',
                            'aria-pressed': String(v === now),
                            onclick: () => {
                                set(v);
                                settings();
                            },
                        },
                        text,
                    ),
                ),
            ),
        );
    const mine = l && l.people.find((p) => p.here),
        has = mine && mine.pin;
    const gb = (n) => (n / 1e9).toFixed(1) + ' GB';
    show({
        title: t('settings'),
        back: home,
        main: [
            s &&
                !s.enrolled &&
                h(
                    'div',
                    { class: 'card' },
                    h('p', null, t('not_enrolled')),
                    button(t('enrol'), () => go('#/enrol'), { class: 'main' }),
                ),
            choice(
                t('language'),
                [
                    ['zh', '中文'],
                    ['en', 'English'],
                ],
                lang(),
                (v) => setLook('lang', v),
            ),
            choice(
                t('size'),
                [
                    ['1', '100%'],
                    ['2', '120%'],
                    ['3', '145%'],
                    ['4', '170%'],
                ],
                size(),
                (v) => setLook('size', v),
            ),
            h('p', { class: 'card soft' }, t('sample')),
            choice(
                t('theme'),
                [
                    ['light', t('theme_light')],
                    ['sun', t('sun')],
                    ['dark', t('theme_dark')],
                ],
                theme(),
                (v) => setLook('theme', v),
            ),
            choice(
                t('quick'),
                [
                    ['', t('off')],
                    ['1', t('on')],
                ],
                setting('quick', ''),
                (v) => setLook('quick', v),
            ),
            choice(
                t('pad_kind'),
                [
                    ['own', t('pad_own')],
                    ['system', t('pad_system')],
                ],
                setting('pad', 'own'),
                (v) => setLook('pad', v),
            ),
            h('h2', null, t('lock_title')),
            h('p', { class: 'note' }, t('lock_honest')),
            h(
                'div',
                { class: 'buttons' },
                button(has ? t('pin_change') : t('pin_set'), () => go('#/pin')),
                has && button(t('lock_now'), () => post('lock').then(locked), null, 'lock'),
                has && button(t('add_person'), () => post('person').then(() => go('#/enrol')), null, 'plus'),
            ),
            s && [
                h('h2', null, t('health')),
                h(
                    'dl',
                    { class: 'values' },
                    [
                        [t('county'), s.county || '—'],
                        [t('person'), s.person || '—'],
                        [t('disk'), s.disk_free === undefined ? '—' : gb(s.disk_free)],
                        [t('battery_word'), s.battery === undefined ? '—' : s.battery + '%'],
                        [t('date_word'), day(s.today)],
                        [t('gps'), navigator.geolocation ? t('there') : '—'],
                        [t('camera'), navigator.mediaDevices ? t('there') : '—'],
                    ].flatMap(([k, v]) => [h('dt', null, k), h('dd', { dir: 'auto' }, v)]),
                ),
            ],
            h(
                'details',
                null,
                h('summary', null, t('about')),
                h('p', null, t('about_text')),
                h('p', { class: 'note' }, t('licences')),
            ),
        ],
    });
}
export async function pin() {
    const l = await get('lock').catch(() => null),
        has = l && l.people.find((p) => p.here && p.pin);
    const err = h('p', { class: 'error', role: 'alert' });
    let old = has ? null : '',
        first = null;
    const head = h('h2', { role: 'status' }, has ? t('pin_old') : t('pin_new'));
    const pad = pinPad(async (typed, paint) => {
        paint();
        err.textContent = '';
        if (old === null) {
            old = typed;
            head.textContent = t('pin_new');
            return;
        }
        if (first === null) {
            first = typed;
            head.textContent = t('pin_again');
            return;
        }
        if (first !== typed) {
            first = null;
            head.textContent = t('pin_new');
            err.textContent = t('pin_differ');
            return;
        }
        try {
            await post('pin', { old, pin: typed });
            say(t('saved'), true);
            go('#/settings', true);
        } catch (e) {
            first = null;
            old = has ? null : '';
            head.textContent = has ? t('pin_old') : t('pin_new');
            err.textContent = has ? t('wrong_pin') : e.text;
        }
    });
    show({ title: t('lock_title'), back: () => go('#/settings'), main: [head, pad, err] });
}

// ---- joining ----
export function enrol() {
    const code = h('input', {
            class: 'field',
            id: 'code',
            autocomplete: 'off',
            autocapitalize: 'characters',
            spellcheck: 'false',
        }),
        url = h('input', {
            class: 'field',
            id: 'url',
            inputmode: 'url',
            autocomplete: 'off',
            spellcheck: 'false',
        });
    const place = h('div');
    const join = async (fingerprint) => {
        place.replaceChildren(h('p', { class: 'note', role: 'status' }, t('joining')));
        try {
            const r = await post('enrol', { code: code.value.trim(), url: url.value.trim(), fingerprint });
            if (r.enrolled) {
                place.replaceChildren(
                    h(
                        'div',
                        { class: 'card', role: 'status' },
                        h('p', null, t('joined', r.county, r.person)),
                        button(
                            t('home'),
                            () => {
                                post('sync').catch(() => 0);
                                home();
                            },
                            { class: 'main' },
                        ),
                    ),
                );
                return;
            }
            place.replaceChildren(
                h(
                    'div',
                    { class: 'card', role: 'alert' },
                    h('h2', null, t('same_print')),
                    h('p', { class: 'number-big num', id: 'print' }, r.fingerprint),
                    h(
                        'div',
                        { class: 'buttons' },
                        button(t('same_no'), () =>
                            place.replaceChildren(h('p', { class: 'error' }, t('stopped'))),
                        ),
                        button(t('same_yes'), () => join(r.fingerprint), { class: 'main' }),
                    ),
                ),
            );
        } catch (e) {
            place.replaceChildren(trouble(e));
        }
    };
    show({
        title: t('enrol'),
        back: home,
        main: [
            h('p', null, t('enrol_text')),
            h('label', { for: 'url' }, t('centre_url')),
            url,
            h('label', { for: 'code' }, t('enrol_code')),
            code,
            place,
        ],
        bar: [button(t('next'), () => code.value.trim() && join(''), { class: 'main' })],
    });
}

// ---- cards ----
export async function courier() {
    const result = h('div');
    let r;
    try {
        r = await get('courier');
    } catch (e) {
        show({ title: t('courier'), back: home, main: trouble(e, courier) });
        return;
    }
    const act = (what, place) => async () => {
        result.replaceChildren(h('p', { class: 'note', role: 'status' }, t('working')));
        try {
            const x = await post('courier/' + what, { place });
            result.replaceChildren(
                h(
                    'div',
                    { class: 'card', role: 'status' },
                    h(
                        'p',
                        null,
                        what === 'give'
                            ? t('gave', x.own, bytes(x.bytes), x.carried)
                            : t('took', x.receipts, x.changes, x.carried, x.devices),
                    ),
                    x.damaged > 0 && h('p', null, t('card_damaged', x.damaged)),
                    x.trouble && h('p', { class: 'note' }, x.trouble),
                ),
            );
        } catch (e) {
            result.replaceChildren(trouble(e));
        }
    };
    show({
        title: t('courier'),
        back: () => go('#/sync'),
        main: [
            h('p', null, t('courier_text')),
            r.places.length
                ? r.places.map((p) =>
                      h(
                          'div',
                          { class: 'card' },
                          h('h2', { dir: 'auto' }, p.split('/').pop()),
                          h(
                              'div',
                              { class: 'buttons' },
                              button(t('give_card'), act('give', p), { class: 'main' }),
                              button(t('take_card'), act('take', p)),
                          ),
                      ),
                  )
                : h('div', { class: 'card soft' }, h('p', null, t('no_card')), button(t('again'), courier)),
            result,
            h('p', { class: 'note' }, t('courier_safe')),
        ],
    });
}

// ---- two people, two answers ----
const when = (ms) => {
    const d = new Date(ms);
    return day(
        [d.getFullYear(), d.getMonth() + 1, d.getDate()].map((n) => String(n).padStart(2, '0')).join('-'),
    );
};
export async function conflicts() {
    let r;
    try {
        r = await get('conflicts');
    } catch (e) {
        show({ title: t('conflicts'), back: home, main: trouble(e, conflicts) });
        return;
    }
    const c = r.rows[0];
    if (!c) {
        show({
            title: t('conflicts'),
            back: home,
            main: h('p', null, icon('check'), ' ', t('no_conflicts')),
        });
        return;
    }
    const own = h('input', {
            class: 'field',
            id: 'own',
            dir: 'auto',
            autocomplete: 'off',
            'aria-label': t('neither'),
        }),
        err = h('div');
    let chosen = null;
    const pick = (v) => (e) => {
        chosen = v;
        box.querySelectorAll('.choice').forEach((x) => x.classList.toggle('on', x.contains(e.target)));
        if (v === 'own') own.focus();
    };
    const row = (v, label, sub) =>
        h(
            'label',
            { class: 'choice' },
            h('input', { type: 'radio', name: 'v', onchange: pick(v) }),
            h('span', { class: 'mark' }),
            h('span', null, h('b', { dir: 'auto' }, label), sub && h('span', { class: 'note' }, ' ' + sub)),
        );
    const box = h(
        'div',
        { class: 'choices' },
        c.values.map((v) =>
            row(
                v,
                v.removed ? t('removed') : v.any ? v.value : t('no_answer'),
                `${v.own ? t('this_device') : t('person_n', v.person)} · ${when(v.at_ms)}`,
            ),
        ),
        row('own', t('neither')),
    );
    const send = async () => {
        if (chosen === null) {
            err.replaceChildren(h('p', { class: 'error', role: 'alert' }, t('choose_first')));
            return;
        }
        try {
            await post('conflicts/resolve', {
                row: c.row,
                field: c.field,
                value: chosen === 'own' ? own.value.trim() : chosen.any ? chosen.value : null,
            });
            conflicts();
        } catch (e) {
            err.replaceChildren(trouble(e));
        }
    };
    show({
        title: t('conflicts'),
        state: t('conflicts_n', r.rows.length),
        back: home,
        main: [
            h('p', { class: 'note', dir: 'auto' }, [c.name || c.household, c.label].join(' · ')),
            h(
                'fieldset',
                { class: 'q' },
                h('legend', null, h('h2', { dir: 'auto' }, c.label)),
                h('p', { class: 'hint' }, t('both_kept')),
                box,
                own,
            ),
            err,
        ],
        bar: [button(t('adopt'), send, { class: 'main' })],
    });
}

// ---- a lead at the door: what the department says stays on the screen ----
export async function verify(code, key) {
    let r;
    try {
        r = await get('household', { code });
    } catch (e) {
        show({ title: code, back: home, main: trouble(e) });
        return;
    }
    const l = r.leads.find((x) => String(x.lead) === key);
    if (!l) {
        go('#/h/' + encodeURIComponent(code), true);
        return;
    }
    const list = Object.entries(l.indicators || {}),
        back = () => go('#/h/' + encodeURIComponent(code));
    const blocks = (list.length ? list : [[l.note || t('lead'), '']]).map(([name, value]) =>
        block(l, name, value, r.names && r.names[name] ? r.names[name][lang() === 'zh' ? 0 : 1] : name),
    );
    const err = h('div');
    const keep = async (then) => {
        try {
            const told = blocks.filter((b) => b.result());
            if (!told.length) {
                err.replaceChildren(h('p', { class: 'error', role: 'alert' }, t('choose_first')));
                return;
            }
            for (const b of told)
                await post('lead/seen', { lead: l.lead, name: b.name, result: b.result(), note: b.note() });
            if (told.length === blocks.length && !told.some((b) => b.absent())) {
                const all = told.map((b) => b.kind());
                await post('lead/visited', {
                    lead: l.lead,
                    result: all.every((x) => x === 'true')
                        ? 'confirmed'
                        : all.every((x) => x === 'false')
                          ? 'refuted'
                          : 'partly',
                });
            }
            then();
        } catch (e) {
            err.replaceChildren(trouble(e));
        }
    };
    show({
        title: t('verify_title'),
        state: l.left === undefined ? '' : left(l.left),
        back,
        main: [
            h(
                'p',
                { dir: 'auto' },
                h('b', null, r.name),
                ' ',
                [l.source, day(l.opened)].filter(Boolean).join(' · '),
            ),
            l.note && h('p', { dir: 'auto' }, l.note),
            blocks.map((b) => b.el),
            err,
        ],
        bar: [
            button(t('keep_it'), () => keep(back)),
            button(
                t('keep_start'),
                () =>
                    keep(() => {
                        back();
                        setTimeout(() => {
                            const b = document.getElementById('start');
                            if (b) b.click();
                        }, 600);
                    }),
                { class: 'main' },
            ),
        ],
    });
}
function block(l, name, value, label) {
    const seen = (l.seen || []).find((s) => s.name === name),
        id = newId();
    let kind = seen ? { confirmed: 'true', refuted: 'false', unclear: 'partly' }[seen.result] : '';
    const extra = h('input', {
            class: 'field',
            id,
            autocomplete: 'off',
            dir: 'auto',
            value: seen ? seen.note : '',
        }),
        ask = h('label', { for: id }),
        more = h('div', null, ask, extra);
    const reasons = h(
        'div',
        { class: 'chips' },
        t('lead_reasons')
            .split(' ')
            .map((w) =>
                h(
                    'button',
                    {
                        type: 'button',
                        class: 'chip',
                        onclick: () => {
                            extra.value = w;
                        },
                    },
                    w,
                ),
            ),
    );
    const paint = () => {
        more.hidden = !kind || kind === 'true';
        reasons.hidden = kind !== 'false';
        ask.textContent = kind ? t('ask_' + kind) : '';
        extra.inputMode = kind === 'partly' ? 'decimal' : 'text';
    };
    const box = h(
        'div',
        { class: 'choices' },
        ['true', 'partly', 'false', 'absent'].map((k) =>
            h(
                'label',
                { class: 'choice' + (k === kind ? ' on' : '') },
                h('input', {
                    type: 'radio',
                    name: id + 'r',
                    checked: k === kind,
                    onchange: (e) => {
                        kind = k;
                        box.querySelectorAll('.choice').forEach((x) =>
                            x.classList.toggle('on', x.contains(e.target)),
                        );
                        paint();
                    },
                }),
                h('span', { class: 'mark' }),
                t('seen_' + k),
            ),
        ),
    );
    paint();
    return {
        name,
        kind: () => kind,
        absent: () => kind === 'absent',
        result: () =>
            ({ true: 'confirmed', false: 'refuted', partly: 'unclear', absent: 'unclear' })[kind] || '',
        note: () =>
            kind === 'true'
                ? ''
                : `${t('seen_' + kind)}${extra.value.trim() ? '：' + extra.value.trim() : ''}`,
        el: [
            h(
                'div',
                { class: 'card soft' },
                h('p', { class: 'note' }, t('department_says')),
                h(
                    'dl',
                    { class: 'values' },
                    h('dt', { dir: 'auto' }, label),
                    h('dd', null, money(String(value && value.value !== undefined ? value.value : value))),
                ),
            ),
            h(
                'fieldset',
                { class: 'q' },
                h('legend', null, h('h2', null, t('seen_at_door'))),
                box,
                more,
                reasons,
            ),
        ],
    };
}
export function report(code, name) {
    const e = h('textarea', { class: 'field', id: 'note', dir: 'auto' }),
        err = h('div');
    let channel = 'patrol';
    const chips = h(
        'div',
        { class: 'chips' },
        ['patrol', 'self_report'].map((k) =>
            h(
                'button',
                {
                    type: 'button',
                    class: 'chip',
                    'aria-pressed': String(k === channel),
                    onclick: (x) => {
                        channel = k;
                        [...chips.children].forEach((b) =>
                            b.setAttribute('aria-pressed', String(b === x.currentTarget)),
                        );
                    },
                },
                t(k),
            ),
        ),
    );
    const d = sheet(t('report_lead'), [
        chips,
        h('label', { for: 'note', dir: 'auto' }, t('report_what', name)),
        e,
        err,
        button(
            t('keep_it'),
            () => {
                if (e.value.trim())
                    post('lead/report', { household: code, channel, note: e.value.trim() }).then(
                        () => {
                            d.close();
                            again();
                        },
                        (x) => err.replaceChildren(trouble(x)),
                    );
            },
            { class: 'main' },
        ),
    ]);
}

// ---- first run, practising, help ----
export function tour(n) {
    const i = Number(n) || 1,
        last = i >= 4;
    const marks =
        i === 3 &&
        h(
            'ul',
            { class: 'steps' },
            ['red', 'yellow', 'blue', 'unknown'].map((k) => h('li', null, sev(k), t(k))),
        );
    show({
        title: `${i} / 4`,
        back: home,
        main: [
            h('p', { class: 'number-big' }, t('tour_' + i)),
            h('p', null, t(`tour_${i}b`)),
            marks,
            last && h('div', { class: 'buttons' }, button(t('practise'), practise_)),
        ],
        bar: [
            button(t('skip_tour'), () => {
                setLook('toured', '1');
                home();
            }),
            button(
                last ? t('begin') : t('next_page'),
                () => {
                    if (last) {
                        setLook('toured', '1');
                        home();
                    } else go('#/tour/' + (i + 1));
                },
                { class: 'main' },
            ),
        ],
    });
}
export async function practise_() {
    try {
        const r = await get('forms');
        if (!r.forms.length) {
            show({ title: t('practise'), back: home, main: h('p', { class: 'card soft' }, t('no_forms')) });
            return;
        }
        const start = (f) =>
            practise(f.id).catch((e) => show({ title: t('practise'), back: home, main: trouble(e) }));
        if (r.forms.length === 1) start(r.forms[0]);
        else
            sheet(
                t('which_form'),
                r.forms.map((f) => item(f.title, () => start(f))),
            );
    } catch (e) {
        show({ title: t('practise'), back: home, main: trouble(e) });
    }
}
export function help() {
    show({
        title: t('help'),
        back: home,
        main: [
            ['help_save', 'help_offline', 'help_dunno', 'help_find', 'help_lead', 'help_lock'].map((k) =>
                h('details', null, h('summary', null, t(k)), h('p', null, t(k + '_t'))),
            ),
            h(
                'div',
                { class: 'buttons' },
                button(t('tour'), () => go('#/tour/1')),
                button(t('practise'), practise_),
            ),
        ],
    });
}
