// What the centre's pages gain with script: keys for clerks, and search while typing. Everything works
// without.

const writable = 'input:not([type=checkbox]):not([type=radio]), textarea, select';
const typing = (e) => e.target.closest(writable);
const rows = () => [...document.querySelectorAll('main tbody tr')].filter((r) => r.querySelector('a.row'));
let at = -1;

function stand(i) {
    const all = rows();
    if (!all.length) return;
    at = Math.max(0, Math.min(all.length - 1, i));
    for (const r of document.querySelectorAll('tr.here')) r.classList.remove('here');
    all[at].classList.add('here');
    const link = all[at].querySelector('a.row');
    link.focus();
    link.scrollIntoView({ block: 'nearest' });
}

function press(key) {
    const button = document.querySelector(`main [data-key="${CSS.escape(key)}"]`);
    if (!button) return false;
    if (button.tagName === 'A' || button.type === 'submit') button.click();
    else button.focus();
    return true;
}

function choose(n) {
    const radio = document.querySelectorAll('main fieldset.choices input[type=radio]')[n - 1];
    if (!radio) return false;
    radio.checked = true;
    const other = radio.closest('.choice').querySelector('input[type=text]');
    (other ?? document.querySelector('main [data-reason]') ?? radio).focus();
    return true;
}

// "g" and a letter go to a page; the letter must follow within a second.
let going = 0;

function go(letter) {
    const link = document.querySelector(`nav#nav a[data-go="${CSS.escape(letter)}"]`);
    if (link) link.click();
    return Boolean(link);
}

function tick() {
    const box = rows()[at]?.querySelector('input[type=checkbox]');
    if (box) box.checked = !box.checked;
    return Boolean(box);
}

const simple = {
    '/': () => { document.querySelector('[data-find]')?.focus(); return true; },
    j: () => { stand(at + 1); return true; },
    k: () => { stand(at - 1); return true; },
    x: tick,
    g: () => { going = Date.now(); return true; },
    '?': () => { document.querySelector('#keys')?.showModal(); return true; },
};

document.addEventListener('keydown', (e) => {
    if (e.isComposing || e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]')) return;
    if (typing(e)) {
        if (e.key === 'Escape') e.target.blur();
        return;
    }
    let done = false;
    if (going && Date.now() - going < 1000 && e.key !== 'g') done = go(e.key);
    else if (simple[e.key]) done = simple[e.key]();
    else if (/^[1-9]$/.test(e.key)) done = choose(Number(e.key));
    else if (/^[a-z]$/.test(e.key)) done = press(e.key);
    if (e.key !== 'g') going = 0;
    if (done) e.preventDefault();
});

// A household's page shows an identity number only while one looks at it.
window.addEventListener('pagehide', () => {
    for (const e of document.querySelectorAll('[data-shown]')) e.textContent = '';
});
window.addEventListener('pageshow', (e) => {
    if (e.persisted && document.querySelector('[data-shown]')) {
        location.replace(location.pathname + location.search);
    }
});

// Search while typing: the five first households under the field; Enter still asks for the whole list.
const field = document.querySelector('[data-find]');
if (field) {
    const list = document.createElement('ul');
    list.className = 'found';
    list.id = 'found';
    list.hidden = true;
    field.form.append(list);
    field.setAttribute('aria-controls', 'found');
    let asked = 0;
    let timer = 0;
    const close = () => { list.hidden = true; };
    const show = async () => {
        const text = field.value.trim();
        const mine = ++asked;
        if (!text) return close();
        let found = [];
        try {
            const reply = await fetch(`/households.json?q=${encodeURIComponent(text)}`);
            if (reply.ok) found = (await reply.json()).households;
        } catch {
            found = [];
        }
        if (mine !== asked) return undefined;
        list.replaceChildren(...found.map((h) => {
            const item = document.createElement('li');
            const link = document.createElement('a');
            link.href = `/households/${encodeURIComponent(h.code)}`;
            link.dir = 'auto';
            link.textContent = `${h.name} ${h.code}`;
            item.append(link);
            return item;
        }));
        const box = field.getBoundingClientRect();
        list.style.insetBlockStart = `${box.bottom + scrollY + 4}px`;
        list.hidden = !found.length;
        return undefined;
    };
    field.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(show, 120); });
    field.addEventListener('keydown', (e) => {
        if (e.key === 'Escape') close();
        if (e.key === 'ArrowDown' && !list.hidden) {
            list.querySelector('a')?.focus();
            e.preventDefault();
        }
    });
    list.addEventListener('keydown', (e) => {
        const item = e.target.closest('li');
        const steps = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' };
        const next = item?.[steps[e.key]];
        if (next) {
            next.querySelector('a').focus();
            e.preventDefault();
        } else if (e.key === 'ArrowUp') {
            field.focus();
            e.preventDefault();
        } else if (e.key === 'Escape') {
            close();
            field.focus();
        }
    });
    field.form.addEventListener('focusout', (e) => { if (!field.form.contains(e.relatedTarget)) close(); });
}
