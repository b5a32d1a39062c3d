// Holding an interview. The agent has it; here is one page of it, and every answer goes there when it is
// made.
import {
    h,
    icon,
    svg,
    button,
    authored,
    show,
    bar,
    setState,
    say,
    sheet,
    item,
    confirmLoss,
    get,
    post,
    trouble,
    setting,
    size,
    setLook,
    theme,
} from './ui.js';
import { t, lang } from './words.js';
import { make, kindOf, isField, newId } from './inputs.js';
import { go, home } from './app.js';

let visit = null; // about the interview
let page = null; // what is on the screen
let shown = []; // its questions: {q, el, input, bad}
let queue = Promise.resolve();
let closePad = null;
let problems = []; // places still to settle, after the check sent the person here
let warned = ''; // the question whose emptiness was already told
export const current = () => visit;
export const forget = () => {
    visit = page = null;
    document.body.classList.remove('train');
};

// ---- opening ----
export async function open(body) {
    const r = await post('visit/open', { language: lang() === 'zh' ? 'zh' : 'en', ...body });
    take(r);
    problems = [];
    go('#/visit/' + encodeURIComponent(here()));
}
export async function practise(form) {
    take(await post('training/begin', { form }));
    problems = [];
    go('#/visit/' + encodeURIComponent(here()));
}
function take(r) {
    if (r.visit) visit = r.visit;
    document.body.classList.toggle('train', !!(visit && visit.practice));
    if (r.page) page = r.page;
    news(r.visit || r);
}
const alerts = [];
function news(r) {
    for (const a of r.alerts || []) alerts.push(a);
    for (const n of r.notes || []) alerts.push({ note: n });
}
const here = () =>
    !page
        ? ''
        : page.kind === 'questions'
          ? page.focus || page.questions[0].ref
          : page.kind === 'roster'
            ? page.ref
            : 'end';

// The address names the question, so that the device's own Back goes to the one seen before.
export async function screen(ref) {
    try {
        if (!visit) {
            const r = await get('visit');
            if (!r.visit) {
                home();
                return;
            }
            take(r);
        }
        if (ref && ref !== here()) take(await post('visit/go', { to: ref }));
        if (page.kind === 'end') {
            go('#/check', true);
            return;
        }
        draw();
    } catch (e) {
        show({ title: t('household'), back: home, main: trouble(e, () => screen(ref)) });
    }
}
async function walk(to) {
    const r = await post('visit/go', { to });
    if (r.left) {
        leave();
        return;
    }
    take(r);
    if (page.kind === 'end') {
        go('#/check');
        return;
    }
    go('#/visit/' + encodeURIComponent(here()));
}
export const leave = () =>
    visit && visit.practice
        ? endPractice()
        : visit && visit.household
          ? go('#/h/' + encodeURIComponent(visit.household))
          : home();
async function endPractice() {
    await post('training/end').catch(() => 0);
    visit = page = null;
    home();
}
export async function jump(ref, rest) {
    problems = rest || [];
    go('#/visit/' + encodeURIComponent(ref));
}

// ---- keeping answers ----
const saved = () => {
    setState(icon('saved'), t('saved'));
    say(t('saved'));
};
function failed(x, e, again) {
    setState(icon('close'), '!');
    x.fail.replaceChildren(
        h(
            'div',
            { class: 'card warn', role: 'alert' },
            h('p', null, e.error === 'down' ? t('restarting') : t('not_saved')),
            h(
                'details',
                null,
                h('summary', null, t('for_engineer')),
                h('p', { class: 'note' }, `${e.error}: ${e.text || ''}`),
            ),
            button(t('save_again'), again),
        ),
    );
    x.fail.scrollIntoView({ block: 'center' });
}
// One after the other, in the order in which they were made.
let waiting = 0; // answers without a reply
const wait = (by) => {
    waiting += by;
    document.body.classList.toggle('busy', waiting > 0);
};
function keep(x, ask) {
    wait(1);
    const run = async () => {
        const slow = setTimeout(() => setState(t('saving')), 150);
        try {
            const r = await ask();
            x.fail.replaceChildren();
            if (!r.saved) {
                x.bad(r.text);
                return false;
            }
            x.bad('');
            apply(r, x);
            saved();
            return true;
        } catch (e) {
            failed(x, e, () => keep(x, ask));
            return false;
        } finally {
            clearTimeout(slow);
            wait(-1);
        }
    };
    queue = queue.then(run, run);
    return queue;
}
function answer(x, body) {
    x.q.status = body.status || (body.value ? 'given' : '');
    return keep(x, () => post('visit/answer', { ref: x.q.ref, ...body }));
}
// Only what changed comes back: labels, values that follow, questions that come and go.
function apply(r, from) {
    news(r);
    for (const q of r.changed || []) {
        const x = shown.find((y) => y.q.ref === q.ref);
        if (x) patch(x, q, x === from);
        else shown.push(question(q, false));
    }
    if (r.order) {
        const box = document.getElementById('questions');
        shown = r.order.map((ref) => shown.find((x) => x.q.ref === ref)).filter(Boolean);
        if (box && (box.children.length !== shown.length || shown.some((x, i) => box.children[i] !== x.el))) {
            for (const old of [...box.children]) if (!shown.some((x) => x.el === old)) old.remove();
            shown.forEach((x, i) => {
                if (box.children[i] !== x.el) box.insertBefore(x.el, box.children[i] || null);
            });
        }
    }
    tellAlerts();
    progressSoon();
}
const shape = (q) =>
    JSON.stringify([
        q.label,
        q.hint,
        q.guidance,
        q.readonly,
        q.required,
        q.control,
        q.type,
        q.total,
        (q.choices || []).map((c) => [c.v, c.l]),
        q.image,
    ]);
function patch(x, q, own) {
    const same = shape(x.q) === shape(q),
        before = x.q;
    x.q = q;
    if (same) {
        if (before.value !== q.value || !own) x.input.set(q.value);
        x.status();
        if (q.message) x.bad(q.message);
        return;
    }
    const next = question(q, false);
    if (x.el.contains(document.activeElement)) setTimeout(() => next.input.focus(), 0);
    x.el.replaceWith(next.el);
    shown[shown.indexOf(x)] = next;
}

// ---- one question ----
function question(q, alone) {
    const kind = kindOf(q),
        id = newId(),
        hintId = id + 'h',
        errId = id + 'e';
    const err = h('p', { class: 'error', id: errId, role: 'alert' });
    err.hidden = true;
    const x = { q, fail: h('div') };
    x.bad = (text) => {
        err.replaceChildren(...(text ? [icon('close'), h('span', { dir: 'auto' }, text)] : []));
        err.hidden = !text;
        x.el.classList.toggle('bad', !!text);
        x.wrong = !!text;
        const field = document.getElementById(id);
        if (field) field.setAttribute('aria-invalid', String(!!text));
    };
    const c = {
        id,
        alone,
        err,
        describedby: `${hintId} ${errId}`,
        bad: x.bad,
        padOpen: (close) => {
            if (closePad && closePad.of !== id) closePad.close();
            closePad = { of: id, close };
        },
        next: () => next(),
        kept: (promise) => keep(x, () => promise),
        give: (value, choice) => {
            const done = answer(x, { value });
            if (choice && alone && setting('quick', '') === '1')
                done.then((ok) => ok && setTimeout(next, 350));
            return done;
        },
    };
    x.input = make(kind, q, c);
    const must = q.required && kind !== 'note' && h('span', { class: 'must' }, ' · ' + t('required'));
    const text = [authored(q.label, kind === 'note' ? { class: 'notebody' } : null), must];
    const media = [
        q.image &&
            h(
                'div',
                { class: 'pictures' },
                h('img', { src: 'api/media?uri=' + encodeURIComponent(q.image), alt: '' }),
            ),
        q.audio && h('audio', { src: 'api/media?uri=' + encodeURIComponent(q.audio), controls: true }),
        q.video && h('video', { src: 'api/media?uri=' + encodeURIComponent(q.video), controls: true }),
    ];
    const hint = h('p', { class: 'hint', id: hintId, dir: 'auto' }, q.hint || '');
    hint.hidden = !q.hint;
    const more =
        q.guidance && h('details', null, h('summary', null, t('help')), h('p', { dir: 'auto' }, q.guidance));
    const dunno = kind !== 'note' && kind !== 'shown' && kind !== 'trigger' && notAnswers(x);
    const body = [media, hint, more, x.input.el, !err.parentNode && err, x.fail, dunno && dunno.el];
    x.el = isField(kind)
        ? h('div', { class: 'q' }, h('h2', { class: 'label' }, h('label', { for: id }, text)), body)
        : kind === 'note' || kind === 'shown'
          ? h(
                'div',
                { class: 'q' },
                kind === 'note' && !q.hint ? h('p', null, text) : h('h2', { class: 'label' }, text),
                body,
            )
          : h('fieldset', { class: 'q' }, h('legend', null, h('h2', null, text)), body);
    x.el.dataset.ref = q.ref;
    x.status = () => dunno && dunno.paint();
    if (q.message) x.bad(q.message);
    return x;
}
// Refusing and not knowing are answers. They stand apart from the others, and take them back.
function notAnswers(x) {
    const make_ = (status) => {
        const b = h(
            'button',
            {
                type: 'button',
                class: 'chip',
                'aria-pressed': String(x.q.status === status),
                onclick: () => {
                    const on = x.q.status !== status;
                    x.input.set('');
                    answer(x, on ? { status } : { value: '' });
                    x.status();
                },
            },
            t(status),
        );
        return b;
    };
    const list = ['dont_know', 'refused'].map((s) => [s, make_(s)]);
    return {
        el: h(
            'div',
            { class: 'dunno chips' },
            list.map((p) => p[1]),
        ),
        paint: () => list.forEach(([s, b]) => b.setAttribute('aria-pressed', String(x.q.status === s))),
    };
}

// ---- the page ----
function around() {
    if (page.kind === 'roster') return page.label || visit.title;
    if (page.group) return [page.around, page.label].filter(Boolean).join(' › ') || visit.title;
    return page.questions[0].group || visit.title;
}
function draw() {
    closePad = null;
    warned = '';
    if (page.kind === 'roster') {
        roster();
        return;
    }
    const alone = page.questions.length === 1;
    shown = page.questions.map((q) => question(q, alone));
    const target = page.focus && page.questions.length > 1 && shown.find((x) => x.q.ref === page.focus);
    const line = h('div', { class: 'progress', role: 'presentation' }, h('div'));
    show({
        title: around(),
        back: leave,
        menu,
        state: visit.practice ? t('practice') : visit.resumed ? t('draft') : '',
        main: [
            line,
            h('div', { id: 'alerts' }),
            h(
                'div',
                { id: 'questions', class: page.group ? 'group' : '' },
                shown.map((x) => x.el),
            ),
        ],
        bar: [],
        leave: () => shown.forEach((x) => x.input.leave && x.input.leave()),
    });
    buttons();
    tellAlerts();
    progressSoon(true);
    if (target) {
        target.el.scrollIntoView();
        target.input.focus();
    }
}
function buttons() {
    const rest = problems.length;
    const x = warned && shown.find((y) => y.q.ref === warned);
    bar([
        button(t('prev'), () => leaving(() => walk('prev'))),
        button(
            counted ? t('list_n', counted.answered, counted.total) : t('list'),
            () => leaving(() => go('#/list')),
            { id: 'list' },
        ),
        rest
            ? button(`${t('next_problem')}（${rest}）`, () => leaving(nextProblem), { class: 'main' })
            : button(x ? (x.wrong ? t('leave_empty') : t('later')) : t('next'), next, {
                  class: 'main',
                  id: 'next',
              }),
    ]);
}
async function nextProblem() {
    const r = await get('visit/check');
    if (r.problems.length) {
        jump(r.problems[0].ref, r.problems.slice(1));
    } else {
        problems = [];
        go('#/check');
    }
}
// What is typed and not kept yet is kept before the page goes.
async function leaving(then) {
    for (const x of shown) x.input.flush();
    await queue;
    if (shown.some((x) => x.fail.firstChild)) return;
    await then();
}
async function next() {
    for (const x of shown) x.input.flush();
    await queue;
    if (shown.some((x) => x.fail.firstChild)) return;
    const wrong = shown.find((x) => x.wrong),
        empty = shown.find((x) => x.q.required && !x.q.readonly && !x.q.status && kindOf(x.q) !== 'note');
    const first = wrong || empty;
    if (first && warned !== first.q.ref) {
        warned = first.q.ref;
        if (!wrong) {
            first.bad(t('needed'));
            first.wrong = false;
        }
        buttons();
        first.el.scrollIntoView({ block: 'center' });
        first.input.focus();
        return;
    }
    await walk('next');
}
let counted = null,
    timer = 0;
function progressSoon(now) {
    clearTimeout(timer);
    timer = setTimeout(
        async () => {
            const r = await get('visit/progress').catch(() => null);
            if (!r || !document.querySelector('.progress')) return;
            counted = r;
            const f = document.querySelector('.progress > div');
            if (f) f.style.inlineSize = (r.total ? (100 * r.answered) / r.total : 0) + '%';
            const b = document.getElementById('list');
            if (b) b.textContent = t('list_n', r.answered, r.total);
            if (now) say(t('position', r.before + 1, r.total), true);
        },
        now ? 0 : 200,
    );
}
function tellAlerts() {
    const box = document.getElementById('alerts');
    if (!box) return;
    for (const a of alerts.splice(0)) {
        box.append(
            a.note
                ? h('p', { class: 'card soft note', role: 'status', dir: 'auto' }, a.note)
                : h(
                      'div',
                      { class: 'card finding ' + a.severity, role: 'alert' },
                      h('h2', null, svg(a.severity, 'sev ' + a.severity), h('span', null, t(a.severity))),
                      h('p', { dir: 'auto' }, lang() === 'zh' ? a.zh : a.en),
                  ),
        );
    }
}

// ---- people and things that repeat ----
function roster() {
    const add = () =>
        post('visit/add', { roster: page.ref }).then(
            (r) => {
                take(r);
                go('#/visit/' + encodeURIComponent(here()));
            },
            (e) => show({ title: around(), back: leave, main: trouble(e, add) }),
        );
    const name = (e, i) => e.cells.find(Boolean) || t('entry', i + 1);
    const gone = (e, i) =>
        confirmLoss(t('remove_q', name(e, i)), t('remove_text'), t('keep'), t('remove_do'), async () => {
            take(await post('visit/remove', { entry: e.ref, roster: page.ref }));
            draw();
        });
    const list = h(
        'ul',
        { class: 'rows' },
        page.entries.map((e, i) =>
            h(
                'li',
                null,
                h(
                    'a',
                    { href: '#/visit/' + encodeURIComponent(e.ref) },
                    h('span', { class: 'num note' }, String(i + 1)),
                    h(
                        'span',
                        { class: 'who' },
                        h('b', { dir: 'auto' }, name(e, i)),
                        h(
                            'span',
                            { class: 'note', dir: 'auto' },
                            e.cells.slice(1).filter(Boolean).join(' · '),
                        ),
                    ),
                    h(
                        'span',
                        { class: 'when' },
                        e.missing ? h('span', { class: 'over' }, t('missing_n', e.missing)) : t('complete'),
                    ),
                ),
            ),
        ),
    );
    const line = h('div', { class: 'progress', role: 'presentation' }, h('div'));
    show({
        title: around() + (page.entries.length ? ' ' + page.entries.length : ''),
        back: leave,
        menu,
        main: [
            line,
            h('div', { id: 'alerts' }),
            page.entries.length ? list : h('p', { class: 'note' }, t('nobody_yet')),
            page.can_add && h('div', { class: 'buttons' }, button(t('add'), add, { id: 'add' }, 'plus')),
            page.entries.length > 0 &&
                h(
                    'details',
                    null,
                    h('summary', null, t('remove')),
                    h(
                        'div',
                        { class: 'buttons' },
                        page.entries.map((e, i) =>
                            button(name(e, i), () => gone(e, i), { class: 'danger' }, 'close'),
                        ),
                    ),
                ),
        ],
        bar: [
            button(t('prev'), () => walk('prev')),
            button(counted ? t('list_n', counted.answered, counted.total) : t('list'), () => go('#/list'), {
                id: 'list',
            }),
            button(
                problems.length ? t('next_problem') : t('roster_done'),
                problems.length ? nextProblem : () => walk('next'),
                { class: 'main', id: 'next' },
            ),
        ],
    });
    tellAlerts();
    progressSoon(true);
}

// ---- menu ----
function menu() {
    const focused = shown.find((x) => x.el.contains(document.activeElement)) || shown[0];
    sheet(visit.name || visit.title, [
        visit.languages.length > 1 &&
            visit.languages.map((l) =>
                item(`${t('form_language')} · ${l}`, () => inLanguage(l), null, {
                    'aria-pressed': String(visit.language === l),
                }),
            ),
        item(
            t('size'),
            () => {
                setLook('size', String((size() % 4) + 1));
            },
            'plus',
        ),
        item(t('sun'), () => setLook('theme', theme() === 'sun' ? 'light' : 'sun'), 'sun', {
            'aria-pressed': String(theme() === 'sun'),
        }),
        focused && item(t('comment'), () => comment(focused), 'pen'),
        focused && item(t('clear_answer'), () => wipe(focused), 'close'),
        item(t('leave'), () => leaving(home), 'back'),
    ]);
}
const inLanguage = (l) =>
    leaving(async () => {
        const r = await post('visit/language', {
            language: l,
            focus: page.kind === 'questions' ? page.questions[0].ref : '',
        });
        visit.language = l;
        page = r.page;
        const y = scrollY;
        draw();
        scrollTo(0, y);
        say(l, true);
    });
function comment(x) {
    const id = newId(),
        e = h('textarea', { class: 'field', id, dir: 'auto' });
    sheet(t('comment'), [
        h('label', { for: id, dir: 'auto' }, x.q.label),
        e,
        item(
            t('keep_it'),
            () =>
                e.value.trim() &&
                keep(x, () => post('visit/comment', { ref: x.q.ref, text: e.value.trim() })).then(
                    (ok) => ok && say(t('comment_saved'), true),
                ),
        ),
    ]);
}
// Cleared at once; the way back stays until the next answer.
function wipe(x) {
    const old = x.q.status === 'given' || !x.q.status ? { value: x.q.value } : { status: x.q.status };
    x.input.set('');
    answer(x, { value: '' }).then(() => {
        x.status();
        const box = h(
            'div',
            { class: 'card soft', role: 'status' },
            t('cleared') + ' ',
            button(t('undo'), () => {
                box.remove();
                if (old.value) x.input.set(old.value);
                answer(x, old).then(x.status);
            }),
        );
        x.fail.replaceChildren();
        x.el.append(box);
    });
}

// ---- keys of a keyboard ----
document.addEventListener('keydown', (e) => {
    if (!document.getElementById('questions') || document.querySelector('dialog')) return;
    const typing =
        /^(TEXTAREA)$/.test(e.target.tagName) ||
        (e.target.tagName === 'INPUT' && !/radio|checkbox|range/.test(e.target.type));
    if (e.altKey && e.key === 'ArrowRight') {
        e.preventDefault();
        next();
    } else if (e.altKey && e.key === 'ArrowLeft') {
        e.preventDefault();
        leaving(() => walk('prev'));
    } else if (typing || e.ctrlKey || e.metaKey || e.altKey) return;
    else if (e.key === '/') {
        e.preventDefault();
        leaving(() => go('#/list'));
    } else if (/^[1-9]$/.test(e.key)) {
        const box = e.target.closest('.q') || document.querySelector('#questions .q');
        const c = box && box.querySelectorAll('.choice input')[e.key - 1];
        if (c) {
            c.click();
            c.focus();
        }
    } else if (e.key === 'Enter' && !e.target.closest('button, a, summary')) {
        e.preventDefault();
        next();
    }
});
