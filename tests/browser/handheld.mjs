// The handheld in the browser tests: a real centre, a handheld that is enrolled there, `doorstep serve`
// on it, and a hand that clicks
// and types. Nothing here asks a JSON route of the handheld: what a person cannot do with the page is not
// done.
//
//   DOORSTEP_BUILD   the build folder with bin/doorstep and bin/doorstepd
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { openPage } from './lib.mjs';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const build = path.resolve(process.env.DOORSTEP_BUILD ?? path.join(root, 'build/release'));
export const agent = path.join(build, 'bin/doorstep');
const centre = path.join(build, 'bin/doorstepd');
const examples = path.join(root, 'examples');

export const run = (program, ...args) =>
    execFileSync(program, args, {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, TZ: 'Asia/Shanghai' },
    });

// The first line of what a process says; the process goes on.
function started(program, args, env) {
    const child = spawn(program, args, {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, TZ: 'Asia/Shanghai', ...env },
    });
    let told = '';
    child.stderr.on('data', (d) => {
        told += d;
    });
    const line = new Promise((done, fail) => {
        let text = '';
        child.stdout.on('data', (d) => {
            text += d;
            if (text.includes('\n')) done(text.split('\n')[0]);
        });
        child.on('exit', (code) => fail(new Error(`${path.basename(program)} ended (${code}): ${told}`)));
    });
    return { child, line };
}
const ended = (child) =>
    new Promise((done) => {
        if (child.exitCode !== null || child.signalCode) done();
        else child.on('exit', done);
    });

// One county and one handheld. forms: further forms (files) to publish; enrol: false leaves the handheld
// alone.
export async function county({ forms = [], enrol = true } = {}) {
    const work = mkdtempSync(path.join(tmpdir(), 'doorstep-screens.'));
    const dir = path.join(work, 'centre'),
        hand = path.join(work, 'hand');
    run(centre, 'init', dir, '--county', '临河县（虚构）');
    run(centre, 'publish', dir, 'list', path.join(examples, 'villages.csv'));
    run(centre, 'publish', dir, 'form', path.join(examples, 'monitoring.xform.xml'));
    run(centre, 'publish', dir, 'pack', path.join(examples, 'pack.cn.json'));
    for (const f of forms) run(centre, 'publish', dir, 'form', f);
    run(centre, 'import', dir, 'households', path.join(examples, 'households.csv'));
    run(centre, 'import', dir, 'departments', path.join(examples, 'departments.json'));
    const up = started(centre, ['serve', dir, '--listen', '127.0.0.1:0', '--print-port']);
    const port = await up.line;
    const x = { work, dir, hand, port, centre: up.child, agents: [] };
    x.ticket = (person, role = 'cadre') =>
        JSON.parse(
            run(
                centre,
                'enrol-token',
                dir,
                '--person',
                person,
                '--role',
                role,
                '--area',
                '99',
                '--url',
                `http://127.0.0.1:${port}`,
                '--json',
            ),
        );
    if (enrol) {
        const t = x.ticket('李文');
        run(
            agent,
            'enrol',
            t.token,
            '--centre',
            `http://127.0.0.1:${port}`,
            '--root',
            t.fingerprint,
            '--data',
            hand,
        );
        run(agent, 'sync', '--data', hand);
    }
    x.status = () => JSON.parse(run(centre, 'status', dir, '--json'));
    x.list = (what) => run(centre, 'list', dir, what, '--json');
    x.stop = async () => {
        for (const a of [...x.agents]) await a.stop();
        x.centre.kill('SIGTERM');
        await ended(x.centre);
        rmSync(work, { recursive: true, force: true });
    };
    x.stopCentre = async () => {
        x.centre.kill('SIGTERM');
        await ended(x.centre);
    };
    x.startCentre = async () => {
        const again = started(centre, ['serve', dir, '--listen', `127.0.0.1:${port}`, '--print-port']);
        await again.line;
        x.centre = again.child;
    };
    return x;
}

// `doorstep serve` on a data folder.
export async function serve(x, { data = x.hand, sync = true, port = 0, card, env } = {}) {
    const up = started(
        agent,
        [
            'serve',
            '--port',
            String(port),
            '--data',
            data,
            ...(sync ? [] : ['--no-sync']),
            ...(card ? ['--card', card] : []),
        ],
        env,
    );
    const link = await up.line;
    const a = { link, origin: new URL(link).origin, pid: up.child.pid, child: up.child };
    a.stop = async (signal = 'SIGTERM') => {
        up.child.kill(signal);
        await ended(up.child);
        x.agents = x.agents.filter((y) => y !== a);
    };
    x.agents.push(a);
    return a;
}
export async function handheld(browser, a, options = {}) {
    const page = await openPage(browser, {
        width: 360,
        height: 640,
        coarse: true,
        origin: a.origin,
        ...options,
    });
    await page.goto(a.link);
    await page.waitForSelector('#top h1');
    if (!options.tour) await page.getByRole('button', { name: /^(跳过|Skip)$/ }).click();
    return page;
}

// ---- a hand; every tap is counted ----
export function hand(page) {
    const h = { taps: 0, page };
    h.tap = async (what, options) => {
        h.taps++;
        await (typeof what === 'string' ? page.locator(what) : what).first().click(options);
    };
    h.type = async (text) => {
        h.taps += text.length;
        await page.keyboard.type(text);
    };
    h.button = (name) => page.getByRole('button', { name, exact: true });
    return h;
}

// "REF<TAB>VALUE" lines: what each question is answered with. "@add REF" gives how often a repeat is
// added to.
export function answersOf(file) {
    const values = new Map(),
        adds = new Map();
    for (const line of readFileSync(file, 'utf8').split('\n')) {
        const [ref, value] = line.split('\t');
        if (line.startsWith('@add')) adds.set(value, (adds.get(value) ?? 0) + 1);
        else if (line.startsWith('/')) values.set(plain(ref), value);
    }
    return { values, adds };
}
export const plain = (ref) => ref.replace(/\[1\]/g, '');

// Answers one question as a person would, by what it looks like.
export async function answer(page, q, value) {
    if ((await q.locator('.choice input').count()) || (await q.locator('.search').count())) {
        for (const one of value.split(' ')) await choose(page, q, one);
        return;
    }
    if (await q.locator('.parts').count()) {
        const fields = q.locator('.parts input');
        const parts = value.split(/[-:T]/);
        for (let i = 0; i < (await fields.count()); i++) await fields.nth(i).fill(String(Number(parts[i])));
        await fields.last().blur();
        return;
    }
    if (await q.getByText('手动输坐标').count()) {
        const [lat, lon] = value.split(' ');
        await q.getByText('手动输坐标').click();
        await q.getByLabel('纬度').fill(lat);
        await q.getByLabel('经度').fill(lon);
        await q.getByRole('button', { name: '存好' }).click();
        return;
    }
    const field = q.locator('input.field, textarea.field').first();
    await field.fill(value);
    await field.blur();
}
async function choose(page, q, value) {
    const option = q.locator(`.choice input[value="${value}"]`);
    if (!(await option.count()) && (await q.locator('.search').count()))
        await q.locator('.search input').fill(value);
    await option.waitFor();
    if (!(await option.isChecked())) await option.locator('xpath=..').click();
}

// Every answer has its reply.
export const settled = (page) => page.waitForSelector('body:not(.busy)');

// Walks to the end, answering what the answers say. Returns the questions it met.
export async function fillIn(page, answers, { pagesMax = 200, stop } = {}) {
    const met = [],
        added = new Map();
    for (let n = 0; n < pagesMax; n++) {
        await page.waitForSelector('#next, #go, .card.warn');
        if (!(await page.locator('#next').count())) return met;
        const roster = page.locator('#add');
        if (await roster.count()) {
            const ref = decodeURIComponent(new URL(page.url()).hash).split(' + ')[1];
            const so = added.get(ref) ?? 0;
            if (so < (answers.adds.get(ref) ?? 0)) {
                added.set(ref, so + 1);
                await act(page, () => roster.click());
                continue;
            }
        }
        const done = new Set();
        for (;;) {
            // an answer may bring further questions
            const refs = await page
                .locator('.q[data-ref]')
                .evaluateAll((list) => list.map((e) => e.dataset.ref));
            const ref = refs.find((r) => !done.has(r));
            if (!ref) break;
            done.add(ref);
            const value = answers.values.get(plain(ref));
            if (value === undefined) continue;
            await answer(page, page.locator(`.q[data-ref="${ref}"]`), value);
            await settled(page);
            met.push(plain(ref));
            if (stop && stop(ref)) return met;
        }
        await act(page, () => page.locator('#next').click());
    }
    throw new Error('the interview has no end');
}
// Does something that leads to another page, and waits for it.
export async function act(page, run_) {
    const before = page.url();
    await run_();
    try {
        await page.waitForFunction((b) => location.href !== b, before);
    } catch (e) {
        throw new Error(
            `the page stayed where it was: ${decodeURIComponent(before)}\n${(await page.locator('.q.bad').allInnerTexts()).join('\n--\n')}`,
        );
    }
    await page.waitForTimeout(30);
}
