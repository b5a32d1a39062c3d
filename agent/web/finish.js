// The list to jump from, and the end of an interview: what is missing, the person's own view, what the
// rules found, the receipt.
import { h, icon, sev, button, authored, show, get, poll, post, trouble, say } from './ui.js';
import { t, lang } from './words.js';
import { go, home } from './app.js';
import { jump, leave, current, open, forget } from './visit.js';

const both = (x, name) => x[`${name}_${lang()}`];
const back = () => history.back();

// ---- the list ----
const WINDOW = 36; // rows in the page at once
export async function list() {
    show({ title: t('list'), back, main: h('p', { class: 'note' }, t('opening')) });
    let r;
    try {
        r = await get('visit/list');
    } catch (e) {
        show({ title: t('list'), back, main: trouble(e, list) });
        return;
    }
    let filter = 'all',
        term = '',
        from = Math.max(0, r.rows.findIndex((x) => x.ref === r.here) - 10);
    const open_ = (x) => x.state === 'open' || x.state === 'needed',
        bad = (x) => x.state === 'check';
    const box = h('ul', { class: 'rows' }),
        chips = h('div', { class: 'chips' }),
        up = h('div', { class: 'buttons' }),
        down = h('div', { class: 'buttons' });
    const fits = (x) =>
        (filter === 'all' || (filter === 'open' ? open_(x) : bad(x))) &&
        (!term || x.label.toLowerCase().includes(term));
    const row = (x) =>
        h(
            'li',
            null,
            h(
                'a',
                {
                    href: '#/visit/' + encodeURIComponent(x.ref),
                    class: x.ref === r.here ? 'here' : '',
                    'aria-current': x.ref === r.here ? 'true' : null,
                },
                h(
                    'span',
                    { class: 'who' },
                    h(x.state === 'roster' ? 'b' : 'span', { dir: 'auto', class: 'clip' }, x.label || x.ref),
                ),
                h(
                    'span',
                    { class: 'when note' + (bad(x) ? ' over' : '') },
                    x.state === 'roster' ? String(x.count) : t('state_' + x.state),
                ),
            ),
        );
    function draw() {
        const rows = r.rows.filter(fits),
            part = rows.slice(from, from + WINDOW);
        const items = [];
        let group = '';
        for (const x of r.rows.slice(0, r.rows.indexOf(part[0]) + 1)) group = x.group || group;
        for (const x of part) {
            if (x.group || x === part[0])
                items.push(h('li', null, h('h2', { class: 'note', dir: 'auto' }, x.group || group)));
            items.push(row(x));
        }
        box.replaceChildren(...items);
        up.replaceChildren(
            ...(from > 0
                ? [
                      button(
                          t('more', Math.min(from, WINDOW)),
                          () => {
                              from = Math.max(0, from - WINDOW);
                              draw();
                          },
                          null,
                          'up',
                      ),
                  ]
                : []),
        );
        down.replaceChildren(
            ...(from + WINDOW < rows.length
                ? [
                      button(
                          t('more', Math.min(WINDOW, rows.length - from - WINDOW)),
                          () => {
                              from += WINDOW;
                              draw();
                          },
                          null,
                          'down',
                      ),
                  ]
                : []),
        );
        chips.replaceChildren(
            ...[
                ['all', t('all')],
                ['open', t('open_n', r.rows.filter(open_).length)],
                ['bad', t('check_n', r.rows.filter(bad).length)],
            ].map(([k, text]) =>
                h(
                    'button',
                    {
                        type: 'button',
                        class: 'chip',
                        'aria-pressed': String(k === filter),
                        onclick: () => {
                            filter = k;
                            from = 0;
                            draw();
                        },
                    },
                    text,
                ),
            ),
        );
    }
    draw();
    const q = h('input', {
        class: 'field',
        autocomplete: 'off',
        dir: 'auto',
        'aria-label': t('search_q'),
        placeholder: t('search_q'),
        oninput: () => {
            term = q.value.trim().toLowerCase();
            from = 0;
            draw();
        },
    });
    show({
        title: t('list'),
        state: t('of', r.answered, r.total),
        back,
        main: [h('div', { class: 'search' }, q), chips, up, box, down],
        bar: [button(t('back_to'), back), button(t('to_end'), () => go('#/check'), { class: 'main' })],
    });
    const here = box.querySelector('.here');
    if (here) here.scrollIntoView({ block: 'center' });
}

// ---- what is missing ----
export async function check() {
    show({ title: t('check'), back, main: h('p', { class: 'note' }, t('opening')) });
    try {
        const [r, p] = await Promise.all([get('visit/check'), get('visit/progress')]);
        drawCheck(r.problems, p);
    } catch (e) {
        show({ title: t('check'), back, main: trouble(e, check) });
    }
}
function drawCheck(problems, p) {
    const part = (title, list) =>
        list.length > 0 && [
            h('h2', null, `${title} ${list.length}`),
            h(
                'ul',
                { class: 'rows' },
                list.map((x) =>
                    h(
                        'li',
                        null,
                        h(
                            'a',
                            {
                                href: '#/visit/' + encodeURIComponent(x.ref),
                                onclick: (e) => {
                                    e.preventDefault();
                                    jump(
                                        x.ref,
                                        problems.filter((y) => y !== x),
                                    );
                                },
                            },
                            icon(x.missing ? 'pen' : 'close'),
                            h(
                                'span',
                                { class: 'who' },
                                h('b', { dir: 'auto' }, x.label),
                                h(
                                    'span',
                                    { class: 'note', dir: 'auto' },
                                    [x.group, x.message].filter(Boolean).join(' · '),
                                ),
                            ),
                            icon('next', true),
                        ),
                    ),
                ),
            ),
        ];
    const wrong = problems.filter((x) => !x.missing),
        empty = problems.filter((x) => x.missing);
    const box =
        problems.length > 0 &&
        h(
            'div',
            { class: 'card warn', role: 'alert', tabindex: '-1' },
            h('b', null, t('to_settle', problems.length)),
        );
    const v = current(),
        judge_ = v ? v.pack : true,
        open_ = p.total - p.answered - empty.length;
    show({
        title: t('check'),
        error: problems.length > 0,
        back,
        focus: box || null,
        main: [
            box,
            part(t('must_fix'), wrong),
            part(t('not_filled'), empty),
            !problems.length && h('p', null, icon('check'), ' ', t('all_there')),
            open_ > 0 && h('p', { class: 'note' }, t('left_open', open_)),
        ],
        bar: problems.length
            ? [
                  button(t('keep_later'), () => leave()),
                  button(t('from_first'), () => jump(problems[0].ref, problems.slice(1)), { class: 'main' }),
              ]
            : [
                  button(t('back'), back),
                  button(
                      judge_ ? t('go_judge') : t('go_finish'),
                      () => (judge_ ? go(v && v.judged ? '#/findings' : '#/judge') : finish()),
                      { class: 'main', id: 'go' },
                  ),
              ],
    });
}

// ---- the person's own view, before anything of the machine's is here ----
export function judge() {
    const v = current();
    let own = '';
    const why = new Set(),
        words = h('input', { class: 'field', id: 'words', dir: 'auto', autocomplete: 'off' }),
        err = h('p', { class: 'error', role: 'alert' });
    const box = h(
        'div',
        { class: 'choices' },
        [1, 2, 3, 4].map((n) =>
            h(
                'label',
                { class: 'choice' },
                h('input', {
                    type: 'radio',
                    name: 'own',
                    value: n,
                    onchange: (e) => {
                        own = t('judge_' + n);
                        box.querySelectorAll('.choice').forEach((c) =>
                            c.classList.toggle('on', c.contains(e.target)),
                        );
                        err.textContent = '';
                    },
                }),
                h('span', { class: 'mark' }),
                t('judge_' + n),
            ),
        ),
    );
    const send = async () => {
        if (!own) {
            err.textContent = t('choose_first');
            box.scrollIntoView({ block: 'center' });
            return;
        }
        const text = [own, [...why].join('、'), words.value.trim()]
            .filter(Boolean)
            .join(lang() === 'zh' ? '；' : '; ');
        try {
            drawFindings(await post('visit/judgement', { own: text }));
            if (v) v.judged = text;
            history.replaceState(null, '', '#/findings');
        } catch (e) {
            err.replaceChildren(trouble(e, send));
        }
    };
    show({
        title: t('judge'),
        back,
        main: [
            h('p', { class: 'card soft' }, t('judge_hint')),
            h('fieldset', { class: 'q' }, h('legend', null, h('h2', null, t('judge_q'))), box, err),
            h(
                'fieldset',
                { class: 'q' },
                h('legend', null, h('h3', null, t('judge_why'))),
                h(
                    'div',
                    { class: 'chips' },
                    t('causes')
                        .split(' ')
                        .map((c) =>
                            h(
                                'button',
                                {
                                    type: 'button',
                                    class: 'chip',
                                    'aria-pressed': 'false',
                                    onclick: (e) => {
                                        if (why.has(c)) why.delete(c);
                                        else why.add(c);
                                        e.target.setAttribute('aria-pressed', String(why.has(c)));
                                    },
                                },
                                c,
                            ),
                        ),
                ),
            ),
            h('label', { for: 'words' }, t('judge_say')),
            words,
        ],
        bar: [button(t('judge_go'), send, { class: 'main', id: 'go' })],
    });
}

// ---- what the rules found ----
export async function findings() {
    show({ title: t('findings'), back: () => go('#/check'), main: h('p', { class: 'note' }, t('opening')) });
    try {
        drawFindings(await get('visit/findings'));
    } catch (e) {
        if (e.error === 'state') go('#/judge', true);
        else show({ title: t('findings'), back, main: trouble(e, findings) });
    }
}
const lines = (text) =>
    (text || '')
        .split('\n')
        .map((s) => s.trim())
        .filter(Boolean);
function card(f) {
    return h(
        'article',
        { class: 'card finding ' + f.severity },
        h('h2', null, sev(f.severity), h('span', { dir: 'auto' }, `${t(f.severity)} · ${both(f, 'name')}`)),
        h('p', { dir: 'auto' }, both(f, 'text')),
        f.severity === 'unknown' && h('p', { class: 'note' }, t('blank_not_safe')),
        both(f, 'follow') && h('p', { dir: 'auto' }, h('b', null, t('follow') + '：'), both(f, 'follow')),
        h(
            'details',
            null,
            h('summary', null, t('values')),
            lines(both(f, 'values')).map((l) => h('p', { class: 'num', dir: 'auto' }, l)),
            h('p', { class: 'note', dir: 'auto' }, [f.rule, f.source].filter(Boolean).join(' · ')),
        ),
    );
}
function drawFindings(r) {
    const hits = r.findings.filter((f) => f.severity !== 'unknown'),
        open_ = r.findings.filter((f) => f.severity === 'unknown');
    const v = current(),
        reason = h('input', { class: 'field', id: 'reason', dir: 'auto', autocomplete: 'off' });
    const fail = h('div');
    show({
        title: t('findings'),
        back: () => go('#/check'),
        state: t('pack_v', r.version),
        main: [
            h(
                'p',
                null,
                h(
                    'b',
                    null,
                    hits.length || open_.length ? t('finding_n', hits.length, open_.length) : t('no_finding'),
                ),
            ),
            h('p', { class: 'note' }, t('a_lead')),
            !hits.length && open_.length > 0 && h('p', null, t('no_finding')),
            r.expired && h('p', { class: 'card soft' }, t('pack_expired')),
            h('p', { class: 'card soft', dir: 'auto' }, t('you_said', r.own)),
            hits.map(card),
            both(r, 'category') &&
                h('p', { class: 'card' }, t('category') + '：', authored(both(r, 'category'))),
            open_.map(card),
            v && v.reason_wanted && [h('label', { for: 'reason' }, t('reason')), reason],
            fail,
        ],
        bar: [
            button(t('amend'), () => go('#/judge')),
            button(t('finish'), () => finish(reason.value, fail), { class: 'main', id: 'go' }),
        ],
    });
}

// ---- finalised ----
let last = null;
async function finish(reason, fail) {
    try {
        last = await post('visit/finish', reason ? { reason } : {});
        forget();
        go('#/receipt', true);
    } catch (e) {
        const box = trouble(e, () => finish(reason, fail));
        if (fail) {
            fail.replaceChildren(box);
            fail.scrollIntoView();
        } else show({ title: t('check'), back, main: box });
    }
}
export function receipt() {
    if (!last) {
        home();
        return;
    }
    if (last.practice) {
        show({
            title: t('practice'),
            back: home,
            main: h('p', { class: 'card' }, t('practice_done')),
            bar: [button(t('home'), home, { class: 'main' })],
        });
        return;
    }
    const step3 = h('li', null, icon('waiting'), h('span', null, t('step3')));
    show({
        title: t('receipt'),
        back: home,
        main: [
            h('p', null, authored([last.name, last.title].filter(Boolean).join(' · '))),
            h('p', { class: 'note' }, t('receipt_no')),
            h('p', { class: 'number-big', id: 'receipt' }, last.receipt),
            h(
                'ul',
                { class: 'steps' },
                h('li', { class: 'done' }, icon('saved'), t('step1')),
                h('li', { class: 'done' }, icon('waiting'), t('step2')),
                step3,
            ),
            h('p', null, h('b', null, t('safe_off'))),
        ],
        bar: [
            last.household &&
                button(t('change_more'), () =>
                    open({ household: last.household, form: last.form, edit: last.household }).catch(() =>
                        home(),
                    ),
                ),
            button(t('home'), home, { class: 'main' }),
        ],
    });
    watch(step3, last);
}
// The third step fills itself when the county has signed.
async function watch(li, mine) {
    for (let i = 0; i < 200 && li.isConnected; i++) {
        const r = await poll('state').catch(() => null);
        if (r && r.state.unsent + r.state.waiting === 0 && r.state.receipted > 0) {
            li.className = 'done';
            li.replaceChildren(icon('signed'), h('span', null, t('step3_done')));
            say(t('step3_done'), true);
            return;
        }
        await new Promise((done) => setTimeout(done, 2000));
    }
}
