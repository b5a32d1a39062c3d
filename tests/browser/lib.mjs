// What the browser tests of the handheld and of the centre share: a Chromium of the system, driven by
// playwright-core, and the checks that hold on every page. A test file is run with `node --test`; it asks
// for pages here, and every page is watched while it lives: a message on the console, a broken script, a
// refused style or a request that leaves the origin fails the test that closes it.
//
//   DOORSTEP_CHROMIUM   another browser than /usr/bin/chromium
//   DOORSTEP_SCREENS    a folder into which shot() writes its pictures; without it none are kept
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { chromium } from 'playwright-core';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const chromiumPath = process.env.DOORSTEP_CHROMIUM || '/usr/bin/chromium';

export async function startBrowser() {
    return chromium.launch({
        executablePath: chromiumPath,
        args: ['--no-sandbox', '--disable-dev-shm-usage', '--font-render-hinting=none', '--force-color-profile=srgb'],
    });
}

// A page of its own context (cookies are not shared unless `context` is handed in).
//   width, height, language ("zh-CN"), theme ("light" | "dark"), script (false: JavaScript off),
//   coarse (true: a touch screen), origin ("http://127.0.0.1:4711"), expected: [RegExp] of console messages
//   that are part of the test, context.
export async function openPage(browser, o = {}) {
    const context = o.context ?? await browser.newContext({
        viewport: { width: o.width ?? 1280, height: o.height ?? 800 },
        locale: o.language ?? 'zh-CN',
        colorScheme: o.theme ?? 'light',
        javaScriptEnabled: o.script ?? true,
        hasTouch: o.coarse ?? false,
        isMobile: o.coarse ?? false,
        reducedMotion: 'reduce',
        baseURL: o.origin,
        acceptDownloads: true,
    });
    const page = await context.newPage();
    const problems = [];
    const expected = o.expected ?? [];
    const note = (text) => {
        if (!expected.some((pattern) => pattern.test(text))) problems.push(text);
    };
    page.on('console', (m) => {
        if (m.type() === 'error' || m.type() === 'warning') note(`console: ${m.text()}`);
    });
    page.on('pageerror', (e) => note(`script: ${e.message}`));
    page.on('request', (r) => {
        const url = r.url();
        if (o.origin && !url.startsWith(o.origin) && !/^(data|blob|about):/.test(url)) note(`request to ${url}`);
    });
    page.setDefaultTimeout(10000);
    page.problems = problems;
    return page;
}

// Fails on what was noted while the page lived, then closes it and its context.
export async function closePage(page) {
    const problems = [...page.problems];
    await page.context().close();
    assert.deepEqual(problems, [], 'the page complained');
}

// axe-core over the whole page: no violation, of any impact.
export async function axe(page, what, options = {}) {
    if (!await page.evaluate('typeof window.axe === "object"')) await page.evaluate(axeSource);
    const result = await page.evaluate((o) => window.axe.run(document, { resultTypes: ['violations'], ...o }), options);
    const told = result.violations.map((v) => {
        const where = v.nodes.slice(0, 3).map((n) => `${n.target.join(' ')} ${n.failureSummary ?? ''}`);
        return `${v.id}: ${v.help}\n   ${where.join('\n   ')}`;
    });
    assert.deepEqual(told, [], `axe: ${what}`);
}

// Nothing sticks out sideways, and no text is cut in a box that hides it.
export async function fits(page, what) {
    const wrong = await page.evaluate(() => {
        const found = [];
        const root = document.documentElement;
        if (root.scrollWidth > root.clientWidth + 1) {
            found.push(`the page is ${root.scrollWidth} wide in ${root.clientWidth}`);
            for (const e of document.body.querySelectorAll('*')) {
                const box = e.getBoundingClientRect();
                const scrolls = e.closest('[data-scrolls]');
                if (!scrolls && box.right > root.clientWidth + 1 && found.length < 6) {
                    found.push(`${e.tagName}.${e.className} ends at ${Math.round(box.right)}`);
                }
            }
        }
        for (const e of document.body.querySelectorAll('a, button, label, summary, h1, h2, h3, th, td, p, li, dt, dd')) {
            const style = getComputedStyle(e);
            if (style.overflowX !== 'visible' && e.scrollWidth > e.clientWidth + 1 && !e.closest('[data-scrolls]') &&
                e.clientWidth > 1) {
                found.push(`cut: ${e.tagName}.${e.className} "${e.textContent.trim().slice(0, 40)}"`);
            }
        }
        return found;
    });
    assert.deepEqual(wrong, [], `fits: ${what}`);
}

// Whatever is pressed is at least `smallest` high and wide; links inside a sentence are text, not targets.
export async function targets(page, what, smallest) {
    const wrong = await page.evaluate((min) => {
        const found = [];
        const pressed = 'a[href], button, select, summary, input:not([type=hidden]), textarea, [role=button]';
        for (const e of document.querySelectorAll(pressed)) {
            let box = e.getBoundingClientRect();
            const style = getComputedStyle(e);
            if (!box.width || style.visibility === 'hidden' || e.disabled || e.closest('[data-inline]')) continue;
            if (e.classList.contains('skip')) continue;
            if (/^(radio|checkbox)$/.test(e.type ?? '')) {
                const label = e.closest('label') ?? (e.id && document.querySelector(`label[for="${CSS.escape(e.id)}"]`));
                if (label) {
                    const other = label.getBoundingClientRect();
                    if (other.width * other.height > box.width * box.height) box = other;
                }
            }
            if (box.height < min - 0.5 || box.width < min - 0.5) {
                found.push(`${e.tagName}.${e.className} "${(e.textContent || e.name || '').trim().slice(0, 30)}" ` +
                    `${Math.round(box.width)}x${Math.round(box.height)}`);
            }
        }
        return found;
    }, smallest);
    assert.deepEqual(wrong, [], `targets of ${smallest}: ${what}`);
}

// A picture of what is in view, or of the whole page, as NAME.png in $DOORSTEP_SCREENS.
export async function shot(page, name, { full = false } = {}) {
    const folder = process.env.DOORSTEP_SCREENS;
    if (!folder) return;
    mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: full, animations: 'disabled' });
}

// Where the keyboard is: "BUTTON name", for journeys without a mouse.
export async function focused(page) {
    return page.evaluate(() => {
        const e = document.activeElement;
        if (!e || e === document.body) return '';
        const name = e.getAttribute('aria-label') || e.textContent || e.name || '';
        return `${e.tagName} ${name.trim().replace(/\s+/g, ' ').slice(0, 60)}`;
    });
}

// Presses Tab until `test(element)` (run in the page) holds; fails after `most` presses.
export async function tabTo(page, selector, most = 120) {
    for (let i = 0; i < most; i++) {
        await page.keyboard.press('Tab');
        if (await page.evaluate((s) => document.activeElement?.matches(s) ?? false, selector)) return i + 1;
    }
    return assert.fail(`the keyboard does not reach ${selector} in ${most} steps`);
}

export { assert };
