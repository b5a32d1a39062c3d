// One maker for each kind of answer. A maker gets the question as the agent gives it and `give(value)`,
// which keeps the answer, and
// returns {el, flush, set}: what to show; what is typed and not kept yet, kept now (a promise, or
// nothing); and how to take another
// value from outside. What cannot be an answer is said by bad(text); bad('') takes it back.
import { h, button, icon, authored, get, put, setting, say, bytes, money, trouble } from './ui.js';
import { t, lang } from './words.js';

const LONG = 9,
    ROWS = 20,
    IMAGE_SIDE = 1024,
    IMAGE_BYTES = 150000,
    FILE_BYTES = 10e6,
    SOUND_MS = 180000;
const has = (q, word) => (' ' + (q.appearance || '').toLowerCase() + ' ').includes(' ' + word);
let number = 0;
export const newId = () => 'f' + ++number;

export function kindOf(q) {
    if (q.control === 'one' || q.control === 'many') {
        if (
            q.total > 40 ||
            (q.total > LONG && (has(q, 'minimal') || has(q, 'autocomplete') || has(q, 'search')))
        )
            return 'long';
        return 'short';
    }
    if (q.control !== 'input') return q.control;
    if (q.readonly) return q.value ? 'shown' : 'note';
    if (q.type === 'int' || q.type === 'decimal') return 'number';
    if (q.type === 'string' && has(q, 'numbers')) return 'number';
    if (['date', 'time', 'dateTime', 'geopoint', 'geotrace', 'geoshape', 'barcode'].includes(q.type))
        return q.type;
    return 'text';
}
// One field, named by the question's label.
export const isField = (kind) => ['text', 'number', 'barcode'].includes(kind);

// ---- text ----
function text(q, c) {
    const wide = has(q, 'multiline') || q.value.length > 60;
    const e = h(wide ? 'textarea' : 'input', {
        class: 'field',
        id: c.id,
        dir: 'auto',
        autocomplete: 'off',
        autocapitalize: 'off',
        spellcheck: 'false',
        value: q.value,
        'aria-describedby': c.describedby,
    });
    let timer = 0,
        kept = q.value,
        composing = false;
    const flush = () => {
        clearTimeout(timer);
        const v = e.value.trim();
        if (composing || v === kept) return undefined;
        kept = v;
        return c.give(v);
    };
    e.addEventListener('compositionstart', () => {
        composing = true;
    });
    e.addEventListener('compositionend', () => {
        composing = false;
    });
    e.addEventListener('input', () => {
        clearTimeout(timer);
        timer = setTimeout(flush, 600);
    });
    e.addEventListener('blur', () => {
        composing = false;
        flush();
    });
    e.addEventListener('keydown', (k) => {
        if (k.key === 'Enter' && !wide && !k.isComposing) {
            k.preventDefault();
            c.next();
        }
    });
    const hint = q.type === 'barcode' && h('p', { class: 'note' }, t('scan_hint'));
    return {
        el: [e, hint],
        flush,
        set: (v) => {
            if (document.activeElement !== e) {
                e.value = v;
                kept = v;
            }
        },
        focus: () => e.focus(),
    };
}

// ---- the pad: its keys are buttons, and the keys of a keyboard do the same in the field ----
function pad(rows, press) {
    return h(
        'div',
        { class: 'pad', role: 'group', 'aria-label': t('pad') },
        rows
            .flat()
            .map((k) =>
                k === ''
                    ? h('span')
                    : h(
                          'button',
                          {
                              type: 'button',
                              tabindex: '-1',
                              onpointerdown: (e) => e.preventDefault(),
                              onclick: () => press(k),
                          },
                          k,
                      ),
            ),
    );
}
const NARROW = {
    '０': '0',
    '１': '1',
    '２': '2',
    '３': '3',
    '４': '4',
    '５': '5',
    '６': '6',
    '７': '7',
    '８': '8',
    '９': '9',
    '．': '.',
    '。': '.',
    '－': '-',
    '−': '-',
};
const narrow = (s) => s.replace(/[０-９．。－−]/g, (d) => NARROW[d]).replace(/[,，\s]/g, '');

// 1.84 and 万 is 18,400: digits are moved, nothing is multiplied.
export function tenThousand(s) {
    const m = /^(-?)(\d*)\.?(\d*)$/.exec(s);
    if (!m || !(m[2] + m[3])) return s;
    const whole = (m[2] + m[3].padEnd(4, '0').slice(0, 4)).replace(/^0+(?=\d)/, ''),
        rest = m[3].slice(4);
    return m[1] + whole + (rest ? '.' + rest : '');
}
function inWan(v) {
    const m = /^(-?)(\d{5,})(?:\.\d+)?$/.exec(v);
    if (!m || lang() !== 'zh') return '';
    const rest = m[2].slice(-4).replace(/0+$/, '');
    return m[1] + money(m[2].slice(0, -4)) + (rest ? '.' + rest : '') + ' 万';
}
function numeral(q, c) {
    const digits = q.type === 'string';
    const e = h('input', {
        class: 'field',
        id: c.id,
        inputmode: setting('pad', 'own') === 'own' ? 'none' : 'decimal',
        autocomplete: 'off',
        value: q.value,
        'aria-describedby': c.describedby,
    });
    const echo = h('p', { class: 'note echo num' });
    let timer = 0,
        kept = q.value;
    const wrong = (v) =>
        digits || v === ''
            ? ''
            : q.type === 'int'
              ? /^-?\d+$/.test(v)
                  ? ''
                  : t('bad_int')
              : /^-?\d+(\.\d+)?$/.test(v)
                ? ''
                : t('bad_number');
    const tell = () => {
        const v = narrow(e.value);
        echo.textContent =
            digits || wrong(v) || v.length < 4 ? '' : [money(v), inWan(v)].filter(Boolean).join(' · ');
    };
    const flush = () => {
        clearTimeout(timer);
        const v = narrow(e.value);
        if (v === kept) return undefined;
        if (wrong(v)) return Promise.resolve(c.bad(wrong(v)));
        kept = v;
        return c.give(v);
    };
    const later = () => {
        clearTimeout(timer);
        c.bad('');
        tell();
        timer = setTimeout(flush, 600);
    };
    const press = (k) => {
        let v = narrow(e.value);
        if (k === t('del')) v = v.slice(0, -1);
        else if (k === t('wipe')) v = '';
        else if (k === '万') v = tenThousand(v);
        else if (k === '-') v = v.startsWith('-') ? v.slice(1) : '-' + v;
        else if (k === '.' && v.includes('.')) return;
        else v += k;
        e.value = v;
        later();
    };
    const row = lang() === 'zh' ? '万' : '000';
    const keys = digits
        ? [
              ['1', '2', '3', t('del')],
              ['4', '5', '6', ''],
              ['7', '8', '9', ''],
              ['', '0', '', t('wipe')],
          ]
        : [
              ['1', '2', '3', t('del')],
              ['4', '5', '6', '00'],
              ['7', '8', '9', row],
              [q.type === 'int' ? '' : '.', '0', '-', t('wipe')],
          ];
    const own = setting('pad', 'own') === 'own' && pad(keys, press);
    const box = h('div', null, h('div', { class: 'number' }, e), c.err, echo, own);
    if (own) {
        own.hidden = !c.alone;
        e.classList.toggle('on', c.alone);
        e.addEventListener('focus', () => {
            c.padOpen(() => {
                own.hidden = true;
                e.classList.remove('on');
            });
            own.hidden = false;
            e.classList.add('on');
        });
    }
    e.addEventListener('input', later);
    e.addEventListener('blur', flush);
    e.addEventListener('keydown', (k) => {
        if (k.key === 'Enter') {
            k.preventDefault();
            c.next();
        }
    });
    tell();
    return {
        el: box,
        flush,
        set: (v) => {
            if (document.activeElement !== e && kept !== v) {
                e.value = v;
                kept = v;
                tell();
            }
        },
        focus: () => e.focus(),
    };
}

// ---- date and time: parts, never a wheel. The pad flows from year to month to day. ----
const two = (n) => String(n).padStart(2, '0');
const days = (y, m) => new Date(Date.UTC(y, m, 0)).getUTCDate();
function parts(q, c, names, value, problem, chips) {
    const fields = names.map((n) =>
        h('input', {
            class: 'field' + (n.size === 4 ? ' y' : ''),
            id: newId(),
            inputmode: 'none',
            maxlength: n.size,
            autocomplete: 'off',
            value: n.value,
            'aria-describedby': c.describedby,
        }),
    );
    let at = 0,
        timer = 0,
        kept = q.value;
    const own = pad(
        [
            ['1', '2', '3', t('del')],
            ['4', '5', '6', ''],
            ['7', '8', '9', ''],
            ['', '0', '', t('wipe')],
        ],
        press,
    );
    const mark = () => fields.forEach((f, i) => f.classList.toggle('on', i === at && !own.hidden));
    const read = () => fields.map((f) => narrow(f.value));
    const echo = h('p', { class: 'note echo' });
    const flush = () => {
        clearTimeout(timer);
        const now = read(),
            v = value(now);
        if (v === kept || v === null) return undefined;
        const wrong = v && problem(now);
        if (wrong) return Promise.resolve(c.bad(wrong));
        kept = v;
        return c.give(v);
    };
    const later = () => {
        clearTimeout(timer);
        const now = read(),
            v = value(now);
        c.bad(v && v !== null ? problem(now) : '');
        echo.textContent = v && c.echo ? c.echo(v) : '';
        timer = setTimeout(flush, 600);
    };
    function press(k) {
        if (k === t('wipe')) {
            fields.forEach((f) => {
                f.value = '';
            });
            at = 0;
        } else if (k === t('del')) {
            if (!fields[at].value && at > 0) at--;
            fields[at].value = fields[at].value.slice(0, -1);
        } else {
            if (fields[at].value.length >= names[at].size && at < fields.length - 1) at++;
            if (fields[at].value.length < names[at].size) fields[at].value += k;
        }
        mark();
        later();
    }
    fields.forEach((f, i) => {
        f.addEventListener('focus', () => {
            at = i;
            c.padOpen(() => {
                own.hidden = true;
                mark();
            });
            own.hidden = false;
            mark();
        });
        f.addEventListener('input', later);
        f.addEventListener('blur', flush);
        f.addEventListener('keydown', (k) => {
            if (k.key === 'Enter') {
                k.preventDefault();
                c.next();
            }
        });
    });
    own.hidden = !c.alone;
    mark();
    const fill = (vs) => {
        fields.forEach((f, i) => {
            f.value = vs[i] || '';
        });
        later();
        return flush();
    };
    const chosen = chips(
        fill,
        (v) => {
            clearTimeout(timer);
            kept = v;
            return c.give(v);
        },
        read,
    );
    if (q.value && c.echo) echo.textContent = c.echo(q.value);
    return {
        el: h(
            'div',
            null,
            h(
                'div',
                { class: 'parts' },
                fields.map((f, i) =>
                    h('span', { class: 'part' }, f, h('label', { for: f.id }, names[i].name)),
                ),
            ),
            c.err,
            echo,
            chosen.length > 0 && h('div', { class: 'chips' }, chosen),
            own,
        ),
        flush,
        read,
        focus: () => fields[0].focus(),
        set: (v) => {
            if (v !== kept && !fields.includes(document.activeElement)) {
                kept = v;
                names.forEach((n, i) => {
                    fields[i].value = n.of(v);
                });
            }
        },
    };
}
const chip = (text, run) => h('button', { type: 'button', class: 'chip', onclick: run }, text);
const onlyYear = (q) => has(q, 'year'),
    onlyMonth = (q) => has(q, 'month-year');
function date(q, c) {
    const of = (i) => (v) => {
        const p = (v || '').slice(0, 10).split('-')[i] || '';
        return i ? p.replace(/^0/, '') : p;
    };
    const all = [
        { name: t('year'), size: 4, of: of(0) },
        { name: t('month'), size: 2, of: of(1) },
        { name: t('day'), size: 2, of: of(2) },
    ];
    const names = all
        .slice(0, onlyMonth(q) ? 2 : onlyYear(q) ? 1 : 3)
        .map((n) => ({ ...n, value: n.of(q.value) }));
    const n = names.length;
    const value = (p) =>
        p.every((x) => !x)
            ? ''
            : p.some((x) => !x) || p[0].length < 4
              ? null
              : `${p[0]}-${two(p[1] || 1)}-${two(p[2] || 1)}`;
    const problem = (p) => {
        const [y, m, d] = [+p[0], +(p[1] || 1), +(p[2] || 1)];
        if (!p.every((x) => !x || /^\d+$/.test(x)) || y < 1800 || m < 1 || m > 12 || d < 1)
            return t('bad_date');
        return d > days(y, m) ? t('bad_day', m, d) : '';
    };
    c.echo = (v) => {
        const [y, m, d] = v.split('-').map(Number),
            now = new Date();
        const age =
            now.getFullYear() -
            y -
            (m && (now.getMonth() + 1 < m || (now.getMonth() + 1 === m && now.getDate() < (d || 1))) ? 1 : 0);
        return n === 3 && age > 0 && age < 130 ? t('age', age) : '';
    };
    const back = (daysAgo) => {
        const d = new Date(Date.now() - daysAgo * 864e5);
        return [String(d.getFullYear()), String(d.getMonth() + 1), String(d.getDate())];
    };
    return parts(q, c, names, value, problem, (fill, give, read) =>
        n < 3
            ? []
            : [
                  chip(t('today_chip'), () => fill(back(0))),
                  chip(t('yesterday'), () => fill(back(1))),
                  chip(t('day_unknown'), () => {
                      const p = read();
                      return p[0].length === 4 && +p[1] >= 1 && +p[1] <= 12
                          ? give(`${p[0]}-${two(p[1])}`)
                          : c.bad(t('bad_date'));
                  }),
                  chip(t('md_unknown'), () => {
                      const p = read();
                      return p[0].length === 4 ? give(p[0]) : c.bad(t('bad_date'));
                  }),
              ],
    );
}
const timeNames = (v) =>
    [
        { name: t('hour'), size: 2, of: (x) => (/(\d\d):/.exec(x) || [])[1] || '' },
        { name: t('minute'), size: 2, of: (x) => (/:(\d\d)/.exec(x) || [])[1] || '' },
    ].map((n) => ({ ...n, value: n.of(v) }));
const badTime = (p) => (+p[0] > 23 || +p[1] > 59 || !/^\d+$/.test(p[0] + p[1]) ? t('bad_time') : '');
const nowTime = () => {
    const d = new Date();
    return [two(d.getHours()), two(d.getMinutes())];
};
const time = (q, c) =>
    parts(
        q,
        c,
        timeNames(q.value),
        (p) => (!p[0] && !p[1] ? '' : !p[0] || !p[1] ? null : `${two(p[0])}:${two(p[1])}:00.000`),
        badTime,
        (fill) => [chip(t('now'), () => fill(nowTime()))],
    );
function dateTime(q, c) {
    const half = { d: (q.value || '').slice(0, 10), t: (q.value || '').slice(11) };
    const zone = () => {
        const m = -new Date().getTimezoneOffset(),
            a = Math.abs(m);
        return (m < 0 ? '-' : '+') + two(Math.floor(a / 60)) + ':' + two(a % 60);
    };
    const both = () => (half.d && half.t ? c.give(`${half.d}T${half.t.slice(0, 12)}${zone()}`) : undefined);
    const of = (key) => ({
        ...c,
        alone: c.alone && key === 'd',
        give: (v) => {
            half[key] = v;
            return both();
        },
    });
    const a = date({ ...q, value: half.d, appearance: '' }, of('d')),
        b = time({ ...q, value: half.t }, of('t'));
    return { el: [a.el, b.el], flush: () => a.flush() || b.flush(), set: () => 0, focus: a.focus };
}

// ---- choices ----
const picture = (uri) => 'api/media?uri=' + encodeURIComponent(uri);
function row(q, x, many, onchange) {
    const input = h('input', {
        type: many ? 'checkbox' : 'radio',
        name: q.ref,
        value: x.v,
        checked: !!x.s,
        onchange,
    });
    return h(
        'label',
        { class: 'choice' + (x.s ? ' on' : '') },
        input,
        x.image && h('img', { src: picture(x.image), alt: '', onerror: (e) => e.target.remove() }),
        h('span', { class: many ? 'mark box' : 'mark' }),
        authored(x.l),
    );
}
const paint = (box) =>
    box
        .querySelectorAll('.choice')
        .forEach((r) => r.classList.toggle('on', r.querySelector('input').checked));
function short(q, c) {
    const many = q.control === 'many';
    const count = h('p', { class: 'note', role: 'status' });
    const tell = () => {
        count.textContent = many ? t('pick', box.querySelectorAll('input:checked').length) : '';
    };
    const change = () => {
        paint(box);
        tell();
        c.give([...box.querySelectorAll('input:checked')].map((i) => i.value).join(' '), !many);
    };
    const pics = q.choices.some((x) => x.image);
    const brief = q.choices.length === 2 && !many && q.choices.every((x) => x.l.length <= 6);
    const box = h(
        'div',
        { class: 'choices' + (pics ? ' pics' : brief ? ' pair' : '') },
        q.choices.map((x) => row(q, x, many, change)),
    );
    tell();
    return {
        el: [box, many && count],
        flush: () => undefined,
        focus: () =>
            box.querySelector('input') &&
            (box.querySelector('input:checked') || box.querySelector('input')).focus(),
        set: (v) => {
            const on = many ? v.split(' ') : [v];
            box.querySelectorAll('input').forEach((i) => {
                i.checked = v !== '' && on.includes(i.value);
            });
            paint(box);
            tell();
        },
    };
}
// A list too long to show: searched; what is chosen stays on top.
function long(q, c) {
    const many = q.control === 'many';
    let chosen = q.total > 40 ? q.chosen || [] : q.choices.filter((x) => x.s),
        shown = ROWS,
        asked = 0;
    const field = h('input', {
        class: 'field',
        type: 'text',
        autocomplete: 'off',
        dir: 'auto',
        'aria-label': t('search_list'),
        placeholder: t('search_list'),
    });
    const top = h('div', { class: 'chips' }),
        box = h('div', { class: 'choices' }),
        count = h('p', { class: 'note', role: 'status' });
    const find = async () => {
        const term = field.value.trim().toLowerCase();
        if (q.total <= 40) {
            const all = q.choices.filter((x) => (x.l + ' ' + x.v).toLowerCase().includes(term));
            return { choices: all.slice(0, shown), total: all.length, of: q.total };
        }
        const r = await get('visit/choices', { ref: q.ref, q: term });
        return { ...r, choices: r.choices.slice(0, shown) };
    };
    const change = (e) => {
        const x = { v: e.target.value, l: e.target.closest('label').textContent };
        chosen = !many ? [x] : e.target.checked ? [...chosen, x] : chosen.filter((y) => y.v !== x.v);
        paint(box);
        head();
        c.give(chosen.map((y) => y.v).join(' '), !many);
    };
    function head() {
        top.replaceChildren(
            ...chosen.map((x) =>
                h(
                    'button',
                    {
                        type: 'button',
                        class: 'chip',
                        'aria-pressed': 'true',
                        onclick: () => {
                            chosen = chosen.filter((y) => y !== x);
                            list();
                            head();
                            c.give(chosen.map((y) => y.v).join(' '));
                        },
                    },
                    authored(x.l),
                    icon('close'),
                    h('span', { class: 'hide' }, t('take_out')),
                ),
            ),
        );
    }
    async function list() {
        const mine = ++asked;
        const r = await find().catch(() => null);
        if (!r || mine !== asked) return;
        box.replaceChildren(
            ...r.choices.map((x) => row(q, { ...x, s: chosen.some((y) => y.v === x.v) }, many, change)),
        );
        box.hidden = !r.choices.length;
        count.textContent = t('of', r.total, r.of);
        more.hidden = r.total <= shown || shown > 40;
        more.textContent = t('more', Math.min(ROWS, r.total - shown));
    }
    const more = h('button', {
        type: 'button',
        onclick: () => {
            shown += ROWS;
            list();
        },
    });
    field.addEventListener('input', () => {
        shown = ROWS;
        list();
    });
    head();
    list();
    return {
        el: [top, h('div', { class: 'search' }, field), count, box, more],
        flush: () => undefined,
        focus: () => field.focus(),
        set: (v) => {
            if (v === '') {
                chosen = [];
                head();
                list();
            }
        },
    };
}
function rank(q, c) {
    let order = q.value ? q.value.split(' ') : [];
    const label = (v) => (q.choices.find((x) => x.v === v) || { l: v }).l;
    const said = h('p', { class: 'note', role: 'status' }),
        list = h('ol', { class: 'ranked' }),
        rest = h('ul', { class: 'ranked' });
    const change = (next, v) => {
        order = next;
        draw();
        const at = order.indexOf(v);
        said.textContent = at < 0 ? '' : t('now_at', label(v), at + 1);
        c.give(order.join(' '));
    };
    const move = (v, by) => {
        const i = order.indexOf(v),
            j = i + by,
            next = [...order];
        if (j < 0 || j >= order.length) return;
        next[i] = next[j];
        next[j] = v;
        change(next, v);
    };
    const b = (text, v, run, off, name) =>
        h(
            'button',
            { type: 'button', 'aria-label': text + ' ' + label(v), onclick: run, disabled: off },
            name ? icon(name) : text,
        );
    // Dragging is an extra, after a hold, so that scrolling stays possible.
    const drag = (li, v) => {
        let timer = 0,
            on = false;
        li.addEventListener('pointerdown', (e) => {
            if (!e.target.closest('button'))
                timer = setTimeout(() => {
                    on = true;
                    li.setPointerCapture(e.pointerId);
                    li.classList.add('here');
                }, 300);
        });
        li.addEventListener('pointermove', (e) => {
            if (!on) return clearTimeout(timer);
            const over = [...list.children].findIndex((o) => {
                const r = o.getBoundingClientRect();
                return e.clientY >= r.top && e.clientY < r.bottom;
            });
            if (over >= 0 && over !== order.indexOf(v)) {
                const next = order.filter((x) => x !== v);
                next.splice(over, 0, v);
                order = next;
                list.insertBefore(li, [...list.children].filter((o) => o !== li)[over] || null);
            }
            return undefined;
        });
        li.addEventListener('pointerup', () => {
            clearTimeout(timer);
            if (on) change([...order], v);
            on = false;
        });
    };
    function draw() {
        list.replaceChildren(
            ...order.map((v, i) => {
                const li = h(
                    'li',
                    null,
                    h('span', { class: 'n num' }, String(i + 1)),
                    h('span', { class: 'what', dir: 'auto' }, label(v)),
                    b(t('up'), v, () => move(v, -1), i === 0, 'up'),
                    b(t('down'), v, () => move(v, 1), i === order.length - 1, 'down'),
                    b(
                        t('take_out'),
                        v,
                        () =>
                            change(
                                order.filter((x) => x !== v),
                                v,
                            ),
                        false,
                        'close',
                    ),
                );
                drag(li, v);
                return li;
            }),
        );
        rest.replaceChildren(
            ...q.choices
                .filter((x) => !order.includes(x.v))
                .map((x) =>
                    h(
                        'li',
                        null,
                        h('span', { class: 'what', dir: 'auto' }, x.l),
                        b(t('put_in'), x.v, () => change([...order, x.v], x.v)),
                    ),
                ),
        );
        waits.hidden = order.length === q.choices.length;
    }
    const waits = h('p', { class: 'note' }, t('not_ranked'));
    draw();
    return {
        el: [list, waits, rest, said],
        flush: () => undefined,
        set: (v) => {
            if (v !== order.join(' ')) {
                order = v ? v.split(' ') : [];
                draw();
            }
        },
        focus: () => 0,
    };
}

// ---- range ----
function range(q, c) {
    const [from, to] = [Number(q.start), Number(q.end)],
        step = Math.abs(Number(q.step)) || 1,
        places = (String(q.step).split('.')[1] || '').length;
    const low = Math.min(from, to),
        high = Math.max(from, to),
        stops = Math.round((high - low) / step);
    const say_ = (v) => (v === '' ? t('none_chosen') : v);
    const out = h('output', { class: 'num' }, say_(q.value));
    if (has(q, 'rating') || stops <= 4) {
        const values = Array.from({ length: stops + 1 }, (x, i) => (low + i * step).toFixed(places));
        const box = h(
            'div',
            { class: 'choices' },
            values.map((v) =>
                row(q, { v, l: v, s: v === q.value }, false, (e) => {
                    paint(box);
                    c.give(e.target.value, true);
                }),
            ),
        );
        return {
            el: box,
            flush: () => undefined,
            focus: () => 0,
            set: (v) => {
                box.querySelectorAll('input').forEach((i) => {
                    i.checked = i.value === v;
                });
                paint(box);
            },
        };
    }
    const slider = h('input', {
        type: 'range',
        id: c.id,
        min: low,
        max: high,
        step,
        value: q.value === '' ? low : q.value,
        'aria-label': q.label,
        'aria-valuetext': say_(q.value),
        'aria-describedby': c.describedby,
    });
    let kept = q.value,
        timer = 0;
    const take = (v) => {
        out.textContent = say_(v);
        slider.setAttribute('aria-valuetext', v);
        slider.value = v;
        clearTimeout(timer);
        timer = setTimeout(flush, 300);
    };
    const flush = () => {
        clearTimeout(timer);
        const v = out.textContent;
        if (v === kept || v === t('none_chosen')) return undefined;
        kept = v;
        return c.give(v);
    };
    const by = (n) =>
        take(
            Math.min(
                high,
                Math.max(
                    low,
                    (out.textContent === t('none_chosen')
                        ? low - (n > 0 ? n * step : 0)
                        : Number(out.textContent)) +
                        n * step,
                ),
            ).toFixed(places),
        );
    slider.addEventListener('input', () => take(Number(slider.value).toFixed(places)));
    slider.addEventListener('change', flush);
    return {
        el: [
            h('p', { class: 'number-big' }, out),
            h(
                'div',
                { class: 'buttons' },
                h(
                    'button',
                    { type: 'button', 'aria-label': t('less'), onclick: () => by(-1) },
                    icon('minus'),
                ),
                h('button', { type: 'button', 'aria-label': t('moreb'), onclick: () => by(1) }, icon('plus')),
            ),
            h(
                'div',
                { class: 'number' },
                h('span', { class: 'note' }, String(low)),
                slider,
                h('span', { class: 'note' }, String(high)),
            ),
        ],
        flush,
        focus: () => slider.focus(),
        set: (v) => {
            if (v !== kept) {
                kept = v;
                out.textContent = say_(v);
                if (v !== '') slider.value = v;
            }
        },
    };
}
function trigger(q, c) {
    const input = h('input', {
        type: 'checkbox',
        checked: q.value !== '',
        onchange: () => {
            paint(box);
            c.give(input.checked ? 'OK' : '');
        },
    });
    const box = h(
        'div',
        { class: 'choices' },
        h(
            'label',
            { class: 'choice' + (q.value ? ' on' : '') },
            input,
            h('span', { class: 'mark box' }),
            t('acknowledge'),
        ),
    );
    return {
        el: box,
        flush: () => undefined,
        focus: () => input.focus(),
        set: (v) => {
            input.checked = v !== '';
            paint(box);
        },
    };
}

// ---- where ----
const word = (m) => (m <= 10 ? t('good') : m <= 50 ? t('fair') : t('poor'));
function locate(onfix, onfail) {
    if (!navigator.geolocation) {
        onfail();
        return () => 0;
    }
    const id = navigator.geolocation.watchPosition((p) => onfix(p.coords), onfail, {
        enableHighAccuracy: true,
        timeout: 60000,
    });
    return () => navigator.geolocation.clearWatch(id);
}
const point = (p) =>
    `${p.latitude} ${p.longitude} ${p.altitude || 0} ${Math.round((p.accuracy || 0) * 10) / 10}`;
function typed(done) {
    const a = h('input', { class: 'field', id: newId(), inputmode: 'decimal', autocomplete: 'off' }),
        b = h('input', { class: 'field', id: newId(), inputmode: 'decimal', autocomplete: 'off' });
    return h(
        'details',
        null,
        h('summary', null, t('type_coords')),
        h('label', { for: a.id }, t('lat')),
        a,
        h('label', { for: b.id }, t('lon')),
        b,
        h(
            'div',
            { class: 'buttons' },
            button(t('keep_it'), () => {
                const [x, y] = [Number(narrow(a.value)), Number(narrow(b.value))];
                if (a.value && b.value && Math.abs(x) <= 90 && Math.abs(y) <= 180)
                    done({ latitude: x, longitude: y });
            }),
        ),
    );
}
function geopoint(q, c) {
    let best = null,
        stop = null,
        timer = 0;
    const shown = h('p', { class: 'num' }),
        state = h('p', { class: 'note', role: 'status' });
    const tell = (v) => {
        const p = v.split(' ');
        shown.textContent = v ? `${p[0]}, ${p[1]}` : '';
        state.textContent = v && p[3] > 0 ? t('accuracy', Math.round(p[3]), word(p[3])) : '';
    };
    const end = () => {
        if (stop) stop();
        stop = null;
        clearInterval(timer);
        use.hidden = true;
        begin.hidden = false;
    };
    const take = (p) => {
        end();
        const v = point(p);
        tell(v);
        c.give(v);
    };
    const begin = button(
        t('locate'),
        () => {
            let s = 0;
            best = null;
            begin.hidden = true;
            state.textContent = t('locating', 0);
            timer = setInterval(() => {
                s++;
                if (s > 60) {
                    end();
                    state.textContent = t('no_fix');
                } else if (!best) state.textContent = t('locating', s);
            }, 1000);
            stop = locate(
                (p) => {
                    if (!best || p.accuracy < best.accuracy)
                        best = {
                            latitude: p.latitude,
                            longitude: p.longitude,
                            altitude: p.altitude,
                            accuracy: p.accuracy,
                        };
                    tell(point(best));
                    use.hidden = false;
                },
                () => {
                    end();
                    state.textContent = t('no_fix');
                },
            );
        },
        null,
        'pin',
    );
    const use = button(t('use_this'), () => best && take(best), { class: 'main' });
    use.hidden = true;
    tell(q.value);
    return {
        el: [shown, state, h('div', { class: 'buttons' }, begin, use), typed(take)],
        flush: () => (stop && best ? take(best) : undefined),
        leave: end,
        focus: () => begin.focus(),
        set: (v) => tell(v),
    };
}
// Metres on a plane around the first point: good enough for a field.
const plane = (ps) =>
    ps.map((p) => [
        (p[1] - ps[0][1]) * 111320 * Math.cos((ps[0][0] * Math.PI) / 180),
        (p[0] - ps[0][0]) * 110574,
    ]);
function trace(q, c) {
    const closed = q.type === 'geoshape';
    let list = q.value
        ? q.value
              .split(';')
              .map((s) => s.trim())
              .filter(Boolean)
        : [];
    if (closed && list.length > 3 && list[0] === list[list.length - 1]) list.pop();
    const canvas = h('canvas', {
            width: 600,
            height: 360,
            role: 'img',
            'aria-label': t('points', list.length),
        }),
        info = h('p', { class: 'note', role: 'status' }),
        rows = h('ol', { class: 'note num' });
    const keep = () => {
        draw();
        const enough = closed ? list.length > 2 : list.length > 1;
        return c.give(enough ? (closed ? [...list, list[0]] : list).join(';') : '');
    };
    function draw() {
        const ps = list.map((s) => s.split(' ').map(Number)),
            xy = ps.length ? plane(ps) : [];
        const g = canvas.getContext('2d'),
            xs = xy.map((p) => p[0]),
            ys = xy.map((p) => p[1]);
        const w = Math.max(1, Math.max(...xs) - Math.min(...xs)),
            d = Math.max(1, Math.max(...ys) - Math.min(...ys)),
            k = Math.min(560 / w, 320 / d);
        g.clearRect(0, 0, 600, 360);
        g.lineWidth = 4;
        g.strokeStyle = '#00574e';
        g.beginPath();
        xy.forEach((p, i) => {
            const [x, y] = [20 + (p[0] - Math.min(...xs)) * k, 340 - (p[1] - Math.min(...ys)) * k];
            if (i) g.lineTo(x, y);
            else g.moveTo(x, y);
            g.fillRect(x - 5, y - 5, 10, 10);
        });
        if (closed && xy.length > 2) g.closePath();
        g.stroke();
        const long_ = xy.reduce(
            (a, p, i) => (i ? a + Math.hypot(p[0] - xy[i - 1][0], p[1] - xy[i - 1][1]) : 0),
            0,
        );
        const area =
            Math.abs(
                xy.reduce((a, p, i) => {
                    const n = xy[(i + 1) % xy.length];
                    return a + p[0] * n[1] - n[0] * p[1];
                }, 0),
            ) / 2;
        info.textContent = [
            t('points', list.length),
            closed && list.length > 2
                ? t('mu', (area / 666.67).toFixed(2), Math.round(area))
                : list.length > 1
                  ? t('length', Math.round(long_))
                  : '',
        ]
            .filter(Boolean)
            .join(' · ');
        canvas.setAttribute('aria-label', info.textContent);
        rows.replaceChildren(...list.map((s) => h('li', null, s.split(' ').slice(0, 2).join(', '))));
    }
    const add = (p) => {
        list.push(point(p));
        keep();
    };
    const here = button(
        t('add_point'),
        () => {
            here.disabled = true;
            const stop = locate(
                (p) => {
                    stop();
                    here.disabled = false;
                    add(p);
                },
                () => {
                    here.disabled = false;
                    info.textContent = t('no_fix');
                },
            );
        },
        null,
        'plus',
    );
    draw();
    return {
        el: [
            canvas,
            info,
            h(
                'div',
                { class: 'buttons' },
                here,
                button(
                    t('undo_point'),
                    () => {
                        list.pop();
                        keep();
                    },
                    null,
                    'back',
                ),
            ),
            typed(add),
            h('details', null, h('summary', null, t('points_list')), rows),
        ],
        flush: () => undefined,
        focus: () => here.focus(),
        set: () => 0,
    };
}

// ---- files ----
const asBlob = (canvas, quality) => new Promise((done) => canvas.toBlob(done, 'image/jpeg', quality));
// The long side 1024, at most 150 KB: a photo that arrives over 2G in a minute.
export async function smaller(file) {
    const img = await createImageBitmap(file);
    const k = Math.min(1, IMAGE_SIDE / Math.max(img.width, img.height));
    const canvas = h('canvas', { width: Math.round(img.width * k), height: Math.round(img.height * k) });
    canvas.getContext('2d').drawImage(img, 0, 0, canvas.width, canvas.height);
    for (const quality of [0.85, 0.7, 0.55, 0.4, 0.25]) {
        const b = await asBlob(canvas, quality);
        if (b.size <= IMAGE_BYTES || quality === 0.25) return b;
    }
    return file;
}
function upload(q, c) {
    const kind = (q.mediatype || '').split('/')[0];
    if (kind === 'image' && (has(q, 'signature') || has(q, 'draw'))) return sign(q, c);
    const box = h('div', { class: 'pictures' }),
        state = h('p', { class: 'note', role: 'status' });
    const send = async (blob, name) => {
        if (blob.size > FILE_BYTES) return c.bad(t('too_big', bytes(FILE_BYTES)));
        c.bad('');
        state.textContent = t('saving') + ' ' + bytes(blob.size);
        try {
            await c.kept(put('visit/file', { ref: q.ref, name }, blob));
            state.textContent = bytes(blob.size);
        } catch (e) {
            state.replaceChildren(trouble(e));
        }
        return undefined;
    };
    const input = h('input', {
        type: 'file',
        hidden: true,
        accept: kind ? kind + '/*' : q.mediatype || null,
        capture: kind === 'image' && has(q, 'new') ? 'environment' : null,
        onchange: async () => {
            const f = input.files[0];
            input.value = '';
            if (!f) return;
            if (kind !== 'image') {
                await send(f, f.name);
                return;
            }
            try {
                await send(await smaller(f), 'photo.jpg');
            } catch (e) {
                c.bad(t('not_image'));
            }
        },
    });
    const pick = button(
        kind === 'image' ? t('capture_photo') : t('choose_file'),
        () => input.click(),
        null,
        kind === 'image' ? 'camera' : 'plus',
    );
    function draw(v) {
        const src = 'api/media?name=' + encodeURIComponent(v);
        box.replaceChildren(
            ...(!v
                ? []
                : [
                      kind === 'image'
                          ? h('img', { src, alt: t('capture_photo') })
                          : kind === 'audio'
                            ? h('audio', { src, controls: true })
                            : h('span', null, v),
                      button(t('delete'), () => c.give(''), null, 'close'),
                  ]),
        );
    }
    const sound = kind === 'audio' && recorder(send, c);
    draw(q.value);
    return {
        el: [
            box,
            state,
            h('div', { class: 'buttons' }, sound && sound.el, pick),
            input,
            kind === 'image' && h('p', { class: 'note' }, t('photo_kept')),
        ],
        flush: () => (sound ? sound.flush() : undefined),
        leave: () => sound && sound.leave(),
        focus: () => pick.focus(),
        set: draw,
    };
}
function recorder(send, c) {
    let rec = null,
        timer = 0;
    const b = button(
        t('record'),
        async () => {
            if (rec) {
                rec.stop();
                return;
            }
            try {
                const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
                const data = [];
                let s = 0;
                rec = new MediaRecorder(stream);
                rec.ondataavailable = (e) => data.push(e.data);
                rec.onstop = () => {
                    clearInterval(timer);
                    stream.getTracks().forEach((x) => x.stop());
                    const type = rec.mimeType;
                    rec = null;
                    b.lastChild.textContent = t('record');
                    send(new Blob(data, { type }), 'sound.webm');
                };
                rec.start(1000);
                timer = setInterval(() => {
                    s++;
                    const at = `${two(Math.floor(s / 60))}:${two(s % 60)}`;
                    b.lastChild.textContent = `${t('recording')} ${at} · ${t('stop')}`;
                    if (s * 1000 >= SOUND_MS) rec.stop();
                }, 1000);
            } catch (e) {
                c.bad(t('no_mic'));
            }
        },
        null,
        'mic',
    );
    return { el: b, flush: () => undefined, leave: () => rec && rec.stop() };
}
function sign(q, c) {
    const canvas = h('canvas', { width: 700, height: 300, role: 'img', 'aria-label': t('sign_here') }),
        g = canvas.getContext('2d'),
        shown = h('div', { class: 'pictures' });
    let down = false,
        drawn = false;
    const at = (e) => {
        const r = canvas.getBoundingClientRect();
        return [((e.clientX - r.left) * 700) / r.width, ((e.clientY - r.top) * 300) / r.height];
    };
    const wipe = () => {
        g.fillStyle = '#fff';
        g.fillRect(0, 0, 700, 300);
        drawn = false;
    };
    canvas.addEventListener('pointerdown', (e) => {
        canvas.setPointerCapture(e.pointerId);
        down = true;
        g.beginPath();
        g.moveTo(...at(e));
    });
    canvas.addEventListener('pointermove', (e) => {
        if (!down) return;
        drawn = true;
        g.lineWidth = 5;
        g.lineCap = 'round';
        g.lineJoin = 'round';
        g.strokeStyle = '#000';
        g.lineTo(...at(e));
        g.stroke();
    });
    canvas.addEventListener('pointerup', () => {
        down = false;
    });
    const keep = async () => {
        if (!drawn) return undefined;
        drawn = false;
        const b = await new Promise((done) => canvas.toBlob(done, 'image/png'));
        return c.kept(put('visit/file', { ref: q.ref, name: 'signature.png' }, b));
    };
    const name = h('input', { class: 'field', id: newId(), autocomplete: 'off', dir: 'auto' });
    const typedName = h(
        'details',
        null,
        h('summary', null, t('sign_name')),
        h('label', { for: name.id, class: 'hide' }, t('sign_name')),
        name,
        button(t('keep_it'), () => {
            wipe();
            g.fillStyle = '#000';
            g.font = '64px sans-serif';
            g.fillText(name.value, 30, 170, 640);
            drawn = !!name.value.trim();
            keep();
        }),
    );
    const draw = (v) => {
        shown.replaceChildren(
            ...(v ? [h('img', { src: 'api/media?name=' + encodeURIComponent(v), alt: t('sign_done') })] : []),
        );
        canvas.hidden = !!v;
    };
    wipe();
    draw(q.value);
    return {
        el: [
            h('p', { class: 'note' }, t('sign_here')),
            shown,
            canvas,
            h(
                'div',
                { class: 'buttons' },
                button(t('sign_again'), () => {
                    wipe();
                    canvas.hidden = false;
                    shown.replaceChildren();
                    c.give('');
                }),
                button(t('sign_done'), keep, { class: 'main' }),
            ),
            typedName,
        ],
        flush: keep,
        focus: () => 0,
        set: draw,
    };
}

const shown = (q) => ({
    el: h('output', { class: 'number-big num', dir: 'auto' }, q.value),
    flush: () => undefined,
    focus: () => 0,
    set(v) {
        this.el.textContent = v;
    },
});
const note = () => ({ el: [], flush: () => undefined, focus: () => 0, set: () => 0 });
const makers = {
    text,
    number: numeral,
    date,
    time,
    dateTime,
    short,
    long,
    rank,
    range,
    trigger,
    geopoint,
    geotrace: trace,
    geoshape: trace,
    barcode: text,
    upload,
    shown,
    note,
};
export const make = (kind, q, c) => (makers[kind] || note)(q, c);
