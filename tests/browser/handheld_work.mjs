// What an enumerator relies on: so many taps and no more; nothing lost when the device dies; a text that
// looks like markup is text; a
// store that cannot write says so and keeps the answer on the screen; nobody else may ask; old engines
// can show it; an answer is painted
// at once.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { axe, closePage, shot, startBrowser, tabTo } from './lib.mjs';
import {
    act,
    agent,
    answersOf,
    county,
    fillIn,
    hand,
    handheld,
    root,
    run,
    serve,
    settled,
} from './handheld.mjs';

// A form of one question of each plain kind, and one of a thousand questions.
const item = (v, l) => `<item><label>${l}</label><value>${v}</value></item>`;
const form = (
    id,
    binds,
    body,
) => `<h:html xmlns="http://www.w3.org/2002/xforms" xmlns:h="http://www.w3.org/1999/xhtml" xmlns:orx="http://openrosa.org/xforms">
<h:head><h:title>${id}</h:title><model><instance><data id="${id}" version="1">${binds.map((b) => `<${b[0]}/>`).join('')}<meta><instanceID/></meta></data></instance>
${binds.map((b) => `<bind nodeset="/data/${b[0]}" type="${b[1]}" ${b[2] ?? ''}/>`).join('\n')}<bind nodeset="/data/meta/instanceID" type="string" readonly="true()" calculate="concat('uuid:', uuid())"/>
</model></h:head><h:body>${body}</h:body></h:html>`;
const HOSTILE = '<img src=x onerror=alert(1)>&lt;script&gt;alert(2)&lt;/script&gt; \u202Eabc\u202C 👩‍👧';
const xml = (s) =>
    s
        .replace(/&(?!lt;|gt;|amp;)/g, '&amp;')
        .replace(/</g, '&lt;')
        .replace(/>/g, '&gt;');
const plainForm = form(
    'plain',
    [
        ['sex', 'select1'],
        ['money', 'int'],
        ['born', 'date'],
        ['name', 'string', 'required="true()"'],
        [
            'share',
            'decimal',
            'constraint=". &lt;= 1" jr:constraintMsg="最多是 1"'.replace(
                'jr:',
                'xmlns:jr="http://openrosa.org/javarosa" jr:',
            ),
        ],
    ],
    `<select1 ref="/data/sex"><label>${xml(HOSTILE)}</label><hint>${xml(HOSTILE)}</hint>${item('m', '男')}${item('f', xml(HOSTILE))}</select1>
<input ref="/data/money"><label>今年自付多少？</label></input><input ref="/data/born"><label>出生日期？</label></input>
<input ref="/data/name"><label>叫什么？</label></input><input ref="/data/share"><label>占几成？</label></input>`,
);
const many = (id, N) =>
    form(
        id,
        Array.from({ length: N }, (x, i) => [`q${i}`, i % 3 ? 'int' : 'select1']),
        Array.from({ length: N }, (x, i) =>
            i % 3
                ? `<input ref="/data/q${i}"><label>第 ${i} 题</label></input>`
                : `<select1 ref="/data/q${i}"><label>第 ${i} 题</label>${item('a', '甲')}${item('b', '乙')}${item('c', '丙')}</select1>`,
        ).join(''),
    );

let browser, x, a, page;
before(async () => {
    browser = await startBrowser();
    const folder = mkdtempSync(path.join(tmpdir(), 'doorstep-forms.'));
    const files = Object.entries({
        plain: plainForm,
        thousand: many('thousand', 1000),
        four: many('four', 400),
    }).map(([name, text]) => {
        const file = path.join(folder, `${name}.xml`);
        writeFileSync(file, text);
        return file;
    });
    x = await county({ forms: files });
    a = await serve(x);
    page = await handheld(browser, a, {
        expected: [/ERR_CONNECTION_REFUSED|Failed to load resource|ERR_CONNECTION_RESET|ERR_EMPTY/],
    });
});
after(async () => {
    await closePage(page);
    await browser.close();
    await x.stop();
});
const home = async () => {
    await page.goto(a.origin + '/#/');
    await page.waitForSelector('.rows a');
};
const begin = async (household, title) => {
    await home();
    await page.getByRole('link', { name: household }).click();
    await page.click('#start');
    await page.locator('dialog').getByRole('button', { name: title }).click();
    await page.waitForSelector('.q, .rows, .card');
};

test('ten tasks take no more taps than their budget', async () => {
    const taps = {};
    await home();
    let h = hand(page);
    await h.tap(page.locator('#q'));
    await h.type('H02');
    await page.waitForFunction(() => location.hash === '#/find');
    await page.locator('#q').fill('H0002');
    await page.waitForFunction(() => document.querySelectorAll('.rows a').length === 1);
    await h.tap(page.locator('.rows a'));
    await page.waitForSelector('#start');
    taps['find a household'] = [h.taps, 5];

    await begin(/田大米/, 'plain');
    h = hand(page);
    await h.tap(page.locator('.choice').first());
    await settled(page);
    await h.tap('#next');
    await page.waitForSelector('.number');
    taps['a single choice and on'] = [h.taps, 2];

    h = hand(page);
    for (const k of ['1', '8', '4', '00']) await h.tap(h.button(k));
    await act(page, () => h.tap('#next'));
    await page.waitForSelector('.parts');
    taps['18,400 yuan and on'] = [h.taps, 5];

    h = hand(page);
    for (const k of ['1', '9', '5', '8', '1', '1']) await h.tap(h.button(k));
    await h.tap(h.button('日不详'));
    await settled(page);
    await act(page, () => h.tap('#next'));
    taps['a birth date without a day'] = [h.taps, 8];

    // The form's language, in the middle of a question of the example survey; then a member from the middle.
    await begin(/云三多/, /入户监测/);
    await page.waitForSelector('.q');
    h = hand(page);
    await h.tap('#menu');
    await h.tap(page.getByRole('button', { name: /English/ }));
    await page.getByText('What is this visit for').first().waitFor();
    taps['the form in another language'] = [h.taps, 2];
    h = hand(page);
    await h.tap('#list');
    await page.waitForSelector('.here');
    await h.tap(page.locator('.rows a', { has: page.locator('b') }));
    await page.waitForSelector('#add');
    await h.tap('#add');
    await page.waitForSelector('.q input.field');
    await h.tap(page.locator('.q input.field'));
    taps['one more member'] = [h.taps, 4];

    // From the last question to the third thing that is missing.
    await page.click('#list');
    await page.waitForSelector('.rows a');
    while (!(await page.locator('.rows a[href*="closing"]').count()))
        await page.locator('main .buttons').last().getByRole('button').click();
    await page.locator('.rows a').last().click();
    await page.waitForSelector('.q');
    h = hand(page);
    await act(page, () => h.tap('#next'));
    await page.waitForSelector('.card.warn');
    await act(page, () => h.tap(page.locator('.rows a').nth(2)));
    await page.waitForSelector('.q .choice');
    await h.tap(
        page
            .locator(`.q[data-ref="${decodeURIComponent(new URL(page.url()).hash).slice(8)}"] .choice`)
            .first(),
    );
    await settled(page);
    taps['the third error, mended'] = [h.taps, 3];

    for (const [task, [took, budget]] of Object.entries(taps))
        console.log(`# ${task}: ${took} taps of ${budget}`);
    for (const [task, [took, budget]] of Object.entries(taps))
        assert.ok(took <= budget, `${task} took ${took} taps; ${budget} are allowed`);
});

test('what a form wrote is text, whatever it looks like', async () => {
    await begin(/柳老根/, 'plain');
    assert.equal(await page.locator('main img, main script').count(), 0);
    assert.match(await page.locator('legend').innerText(), /<img src=x onerror=alert\(1\)>/);
    await shot(page, 'handheld-hostile');
    await page.locator('.choice').nth(1).click();
    await settled(page);
});

test('a constraint stands beside its field, and nothing wrong is kept', async () => {
    await begin(/禾满仓/, 'plain');
    for (let i = 0; i < 3; i++) await act(page, () => page.click('#next'));
    await page.click('#next');
    await page.getByText('这题要答').waitFor();
    await shot(page, 'handheld-needed');
    assert.equal(await page.locator('#next').innerText(), '以后再填');
    await page.locator('input.field').fill('禾满仓');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.number');
    await page.locator('input.field').fill('3');
    await page.locator('input.field').blur();
    await page.getByText('最多是 1').waitFor();
    assert.equal(await page.locator('input.field').inputValue(), '3', 'the value stays on the screen');
    await axe(page, 'constraint');
    await shot(page, 'handheld-constraint');
    await page.locator('input.field').fill('0.5');
    await page.locator('input.field').blur();
    await settled(page);
    assert.equal(await page.getByText('最多是 1').count(), 0);
});

test('a killed agent opens at the same question with the same answers', async () => {
    await begin(/枫红叶/, 'plain');
    await page.locator('.choice').first().click();
    await settled(page);
    await act(page, () => page.click('#next'));
    await page.locator('input.field').fill('18400');
    await page.locator('input.field').blur();
    await settled(page);
    const was = page.url();
    await a.stop('SIGKILL');
    await page.locator('.pad button').first().click();
    await page.getByText('程序正在重启').first().waitFor();
    await shot(page, 'handheld-restarting');
    a = await serve(x, { port: Number(new URL(was).port) });
    await page.goto(a.link);
    await page.waitForSelector('.rows a');
    await page.getByRole('link', { name: /枫红叶/ }).click();
    assert.match(await page.locator('#start').innerText(), /接着填/);
    await page.click('#start');
    await page.locator('dialog').getByRole('button', { name: 'plain' }).click();
    await page.waitForSelector('.number');
    assert.equal(await page.locator('input.field').inputValue(), '18400');
    assert.equal(decodeURIComponent(new URL(page.url()).hash), '#/visit//data/money');
});

test('by keys alone: a choice, a number, on', async () => {
    await begin(/栗子甜/, 'plain');
    await page.keyboard.press('1');
    await settled(page);
    assert.ok(await page.locator('.choice input').first().isChecked());
    await page.keyboard.press('Alt+ArrowRight');
    await page.waitForSelector('.number');
    await tabTo(page, 'input.field');
    await page.keyboard.type('12');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.parts');
    await page.keyboard.press('Alt+ArrowLeft');
    await page.waitForSelector('.number');
    assert.equal(await page.locator('input.field').inputValue(), '12');
});

test('nobody else may ask', async () => {
    const ask = (headers, method = 'GET', where = '/api/state') =>
        new Promise((done, fail) => {
            const u = new URL(a.origin);
            const r = http.request(
                {
                    host: '127.0.0.1',
                    port: u.port,
                    path: where,
                    method,
                    headers: { Host: u.host, ...headers },
                },
                (m) => {
                    m.resume();
                    done(m.statusCode);
                },
            );
            r.on('error', fail);
            r.end();
        });
    const own = { 'X-Doorstep': '1' };
    assert.equal(await ask(own), 401, 'without a session');
    assert.equal(
        await ask({ ...own, Host: `evil.example:${new URL(a.origin).port}` }),
        403,
        'another name for this address',
    );
    assert.equal(
        await ask({ Host: `evil.example:${new URL(a.origin).port}` }, 'GET', '/'),
        403,
        'not even the page',
    );
    assert.equal(
        await ask({ ...own, Origin: 'http://evil.example' }, 'POST', '/api/sync'),
        403,
        'another origin',
    );
    assert.equal(await ask({ ...own, 'Sec-Fetch-Site': 'cross-site' }), 403, 'another site');
    assert.equal(await ask({}), 403, 'without the header of our pages');
    assert.equal(await ask({ ...own, Cookie: 'doorstep=' + '0'.repeat(32) }), 401, 'an invented session');
    assert.equal(
        await ask(
            {},
            'GET',
            new URL(a.link).search ? `/?key=${new URL(a.link).searchParams.get('key')}` : '/',
        ),
        200,
        'the link works once: now it gives the page and no session',
    );
});

test('an answer is painted within 100 ms at a thousand questions, on a processor four times slower', async () => {
    await begin(/核桃仁/, 'thousand');
    const cdp = await page.context().newCDPSession(page);
    await page.locator('.choice').first().click();
    await settled(page);
    await cdp.send('Emulation.setCPUThrottlingRate', { rate: 4 });
    const painted = [],
        turned = [];
    for (let i = 0; i < 15; i++) {
        if (await page.locator('.choice').count()) {
            painted.push(
                await page.evaluate(
                    (n) =>
                        new Promise((done) => {
                            const c = document.querySelectorAll('.choice input')[n],
                                t0 = performance.now();
                            c.click();
                            requestAnimationFrame(() =>
                                requestAnimationFrame(() => done(performance.now() - t0)),
                            );
                        }),
                    (i % 2) + 1,
                ),
            );
            await settled(page);
        }
        turned.push(
            await page.evaluate(
                () =>
                    new Promise((done) => {
                        const t0 = performance.now(),
                            was = location.hash;
                        document.getElementById('next').click();
                        const look = () =>
                            location.hash !== was
                                ? requestAnimationFrame(() => done(performance.now() - t0))
                                : setTimeout(look, 2);
                        look();
                    }),
            ),
        );
    }
    const nodes = await page.evaluate(() => document.querySelectorAll('*').length);
    await page.click('#list');
    await page.waitForSelector('.here');
    const inList = await page.evaluate(() => document.querySelectorAll('*').length);
    await cdp.send('Emulation.setCPUThrottlingRate', { rate: 1 });
    const worst = (l) => Math.round(Math.max(...l)),
        middle = (l) => Math.round([...l].sort((p, q) => p - q)[l.length >> 1]);
    console.log(
        `# painted: median ${middle(painted)} ms, worst ${worst(painted)} ms; page turned: median ${middle(turned)} ms, worst ${worst(turned)} ms; nodes ${nodes}, in the list ${inList}`,
    );
    assert.ok(middle(painted) <= 100, `painted after ${middle(painted)} ms`);
    assert.ok(middle(turned) <= 250, `turned after ${middle(turned)} ms`);
    assert.ok(nodes <= 300, `${nodes} nodes on a page`);
});

test('memory of the agent with 400 questions open', async () => {
    await begin(/石榴红/, 'four');
    await page.locator('.choice').first().click();
    await settled(page);
    const anon = (pid) => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
    const beside = readFileSync(`/proc/${a.pid}/task/${a.pid}/children`, 'utf8')
        .trim()
        .split(' ')
        .filter(Boolean);
    console.log(`# RssAnon: serve ${anon(a.pid)} kB; the sync beside it ${beside.map(anon).join(', ')} kB`);
    assert.ok(anon(a.pid) < 32 * 1024);
});

test('all pages weigh less than 150 KB and use only what Chromium 90 had', async () => {
    const dir = path.join(root, 'agent/web');
    let weight = 0;
    const late = [
        [/:has\(/, ':has'],
        [/@container/, 'container queries'],
        [/\d(dvh|svh|lvh)/, 'dvh'],
        [/color-mix\(/, 'color-mix'],
        [/accent-color/, 'accent-color'],
        [/\.at\(-?\d/, 'Array.at'],
        [/structuredClone/, 'structuredClone'],
        [/BarcodeDetector/, 'BarcodeDetector'],
        [/popover/, 'popover'],
        [/\.findLast/, 'findLast'],
        [/\.hasOwn\(/, 'Object.hasOwn'],
        [/\binert\b/, 'inert'],
        [/importmap/, 'import maps'],
        [/serviceWorker/, 'service worker'],
        [/\?\?=|\|\|=/, 'logical assignment is fine, but unused'],
        [/\.replaceAll\(/, 'replaceAll is 85, unused'],
        [/toSorted|toReversed|Object\.groupBy/, 'array copies'],
        [/type: ?'date'|type="date"/, 'native date'],
        [/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/, 'markup from text'],
        [/style="/, 'inline style'],
        [/https?:\/\/(?!www\.w3\.org)/, 'another origin'],
    ];
    for (const name of readdirSync(dir)) {
        const text = readFileSync(path.join(dir, name), 'utf8');
        weight += Buffer.byteLength(text.replace(/^[ \t]+/gm, '')); // as it is built in
        for (const [pattern, what] of late) assert.ok(!pattern.test(text), `${name} uses ${what}`);
    }
    console.log(`# weight ${weight} bytes`);
    assert.ok(weight < 150000, `${weight} bytes`);
});
