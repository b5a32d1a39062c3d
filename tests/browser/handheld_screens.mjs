// Every screen of the handheld once: drawn, without a violation for axe, nothing cut, nothing too small
// to press; in Chinese and English,
// in three themes, large, and from right to left. Pictures go to $DOORSTEP_SCREENS.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { axe, closePage, fits, shot, startBrowser, targets } from './lib.mjs';
import { act, agent, answersOf, county, fillIn, handheld, root, run, serve, settled } from './handheld.mjs';

let browser, x, a, page;
before(async () => {
    browser = await startBrowser();
    x = await county();
    run(
        agent,
        'lead',
        'open',
        '--household',
        'H0003',
        '--channel',
        'department',
        '--source',
        '医保',
        '--opened',
        '2026-01-02',
        '--evidence',
        '{"med_self": 18400}',
        '--data',
        x.hand,
    );
    run(
        agent,
        'lead',
        'open',
        '--household',
        'H0008',
        '--channel',
        'patrol',
        '--note',
        '房顶漏雨，老人一个人住',
        '--data',
        x.hand,
    );
    mkdirSync(path.join(x.work, 'card'));
    a = await serve(x, { card: path.join(x.work, 'card') });
});
after(async () => {
    await browser.close();
    await x.stop();
});
const look = async (name, { small = 48 } = {}) => {
    await page.waitForTimeout(250);
    await axe(page, name);
    await fits(page, name);
    await targets(page, name, small);
    await shot(page, `handheld-${name}`);
};
const press = (name) => page.getByRole('button', { name, exact: true }).first().click();
const at = async (hash) => {
    await page.goto(a.origin + '/' + hash);
    await page.waitForTimeout(200);
};

test('screens before and around an interview', async () => {
    page = await handheld(browser, a, { tour: true });
    await look('tour');
    for (let i = 0; i < 3; i++) await press('下一页');
    await look('tour-last');
    await press('开始用');
    await page.waitForSelector('.rows a');
    await look('today-leads');
    assert.match(
        await page.locator('.rows a').first().innerText(),
        /云三多/,
        'the lead that is overdue stands first',
    );
    await page.locator('#q').click();
    await page.keyboard.type('H00');
    await page.waitForFunction(() => document.querySelectorAll('.rows a').length > 5);
    await page.keyboard.type('03');
    await page.waitForFunction(() => document.querySelectorAll('.rows a').length === 1);
    await look('find');
    await page.getByRole('link', { name: /云三多/ }).click();
    await page.waitForSelector('.finding');
    await look('household-lead');
    await press('去核实');
    await page.waitForSelector('.choice');
    await page.getByText('部分属实').click();
    await page.locator('input.field').first().fill('16200');
    await look('lead');
    await press('存好');
    await page.waitForSelector('#start');
    await page.click('#top button');
    await page.waitForSelector('#menu');
    await page.click('#menu');
    await page.waitForSelector('dialog');
    await look('menu');
    await press('设置');
    await page.waitForSelector('.chip');
    await look('settings');
    await at('#/help');
    await look('help');
    await at('#/enrol');
    await look('enrol');
    await at('#/courier');
    await look('courier');
    await at('#/conflicts');
    await look('conflicts-none');
    await closePage(page);
});

test('a roster, the list, what is missing, practice', async () => {
    await a.stop();
    a = await serve(x);
    page = await handheld(browser, a);
    await page.waitForSelector('.rows a');
    await page.click('#menu');
    await press('先拿练习户试试');
    await page.waitForSelector('.q');
    assert.equal(await page.locator('body.train').count(), 1, 'practice carries a striped bar');
    await look('practice');
    await page.click('#top button');
    await page.waitForSelector('.rows a');
    await page.getByRole('link', { name: /芦花白/ }).click();
    await page.click('#start');
    await page.waitForSelector('.q');
    const answers = answersOf(path.join(root, 'examples/answers/trouble.tsv'));
    await fillIn(page, answers, { stop: (ref) => ref === '/monitoring/member[2]/name' });
    await look('group');
    await page.click('#list');
    await page.waitForSelector('.here');
    await look('list');
    await page
        .getByRole('link', { name: /家里的人/ })
        .first()
        .click();
    await page.waitForSelector('#add');
    await look('roster');
    await page.click('#list');
    await page.waitForSelector('.here, .rows');
    await press('到最后检查');
    await page.waitForSelector('.card.warn');
    await look('missing');
    await page.locator('.rows a').nth(2).click();
    await page.waitForSelector('.q');
    await look('problem');
    await closePage(page);
});

test('English, sun, night, large, and from right to left', async () => {
    await a.stop();
    a = await serve(x);
    page = await handheld(browser, a, { language: 'en-GB' });
    await page.waitForSelector('.rows a');
    await look('today-en');
    await page.getByRole('link', { name: /田大米/ }).click();
    await page.click('#start');
    await page.waitForSelector('.q');
    await look('question-en');
    for (const [theme, name] of [
        ['sun', 'sun'],
        ['dark', 'night'],
    ]) {
        await page.evaluate((v) => {
            localStorage.setItem('theme', v);
        }, theme);
        await page.reload();
        await page.waitForSelector('.q');
        await page.locator('.choice').first().click();
        await settled(page);
        await look(`question-${name}`);
    }
    await page.evaluate(() => {
        localStorage.setItem('theme', 'light');
        localStorage.setItem('size', '4');
    });
    for (const width of [320, 360, 768]) {
        await page.setViewportSize({ width, height: 640 });
        await page.reload();
        await page.waitForSelector('.q');
        await look(`question-170-${width}`);
    }
    await page.setViewportSize({ width: 360, height: 640 });
    await page.evaluate(() => {
        localStorage.setItem('size', '1');
        localStorage.setItem('dir', 'rtl');
        localStorage.setItem('lang', 'zh');
    });
    await page.reload();
    await page.waitForSelector('.q');
    await look('question-rtl');
    await closePage(page);
});

test('a PIN locks the screens; wrong ones wait; no finding and no name stays on the page', async () => {
    await a.stop();
    a = await serve(x);
    page = await handheld(browser, a, { expected: [/401|403|409|503/] });
    await page.waitForSelector('.rows a');
    await at('#/pin');
    for (const d of '314159314159') await press(d);
    await page.waitForFunction(() => location.hash === '#/settings', null, { timeout: 30000 });
    await page.getByRole('button', { name: '锁上' }).click();
    await page.waitForSelector('.pinpad');
    await look('locked');
    assert.ok(!/田大米|麦远山/.test(await page.locator('body').innerText()));
    for (let i = 0; i < 5; i++) {
        for (const d of '000000') await press(d);
        await page.waitForFunction(
            () => /密码不对|请等/.test(document.querySelector('.error').textContent),
            null,
            { timeout: 30000 },
        );
        if (i < 4) await page.waitForTimeout(50);
    }
    await page.waitForFunction(() => /请等/.test(document.querySelector('.error').textContent));
    await look('locked-wait');
    await closePage(page);
    // A new start: the link alone opens nothing, the wait goes on, then the PIN opens.
    await a.stop();
    a = await serve(x);
    page = await handheld(browser, a, { expected: [/401|403|503/] });
    await page.waitForSelector('.pinpad');
    await page.keyboard.type('314159');
    await page.getByText(/请等 \d+ 秒/).waitFor();
    await page.waitForTimeout(31000);
    await page.keyboard.type('314159');
    await page.waitForSelector('.rows a', { timeout: 30000 });
    await closePage(page);
});
