// One household from the list to the county's receipt, by clicks and keys: the example survey with its
// answers, the findings, the
// submission at the centre. And what must hold on the way.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { axe, closePage, fits, shot, startBrowser, targets } from './lib.mjs';
import { answersOf, county, fillIn, hand, handheld, root, serve } from './handheld.mjs';

let browser, x, a, page;
before(async () => {
    browser = await startBrowser();
    x = await county();
    a = await serve(x);
});
after(async () => {
    await browser.close();
    await x.stop();
});
const look = async (name) => {
    await page.waitForTimeout(200);
    await axe(page, name);
    await fits(page, name);
    await targets(page, name, 48);
    await shot(page, `handheld-${name}`);
};

test('a household is visited, judged, sealed and signed for', async () => {
    const answers = answersOf(path.join(root, 'examples/answers/trouble.tsv'));
    page = await handheld(browser, a);
    await page.waitForSelector('.rows a');
    await look('today');
    const h = hand(page);
    await h.tap(page.getByRole('link', { name: /麦远山/ }));
    await page.waitForSelector('#start');
    await look('household');
    await h.tap('#start');
    assert.ok(h.taps <= 2, 'a visit begins after two taps');
    await page.waitForSelector('.q');
    await look('question');
    const met = await fillIn(page, answers);
    const left = [...answers.values.keys()].filter((ref) => !met.includes(ref));
    assert.deepEqual(left, [], 'questions that were never shown');

    await page.waitForSelector('#go');
    await look('check');
    assert.equal(await page.locator('.card.warn').count(), 0, 'nothing is left to settle');
    h.taps = 1; // the one that led here
    await h.tap('#go');
    await page.waitForSelector('.choice');
    const text = await page.locator('body').innerText();
    assert.ok(!/自付|MED|立即/.test(text), 'no finding is on the screen before the own judgement');
    await look('judgement');
    await h.tap(page.getByText('有，很急'));
    await h.tap(h.button('病'));
    await h.tap('#go');
    await page.waitForSelector('.finding');
    await look('findings');
    assert.ok((await page.locator('.finding.red').count()) > 0, 'there is a red lead');
    assert.match(await page.locator('main').innerText(), /您说：有，很急；病/);
    await h.tap('#go');
    await page.waitForSelector('#receipt');
    assert.ok(h.taps <= 8, `finishing takes ${h.taps} taps`);
    assert.match(await page.locator('#receipt').innerText(), /^[0-9A-Z]{4}-[0-9A-Z]{4}$/);
    await page.locator('main').getByText('县里已签收').waitFor({ timeout: 20000 });
    await look('receipt');

    const status = x.status();
    assert.equal(status.submissions, 1);
    assert.equal(status.submissions_differing, 0);
    assert.match(x.list('visits'), /"household":"H0002"/);
    assert.match(x.list('findings'), /"severity":"red"/);
    await page.getByRole('button', { name: '回今日' }).click();
    await page.waitForSelector('.rows a');
    await page.getByRole('button', { name: '发送' }).click();
    await page.waitForSelector('#sending');
    await look('sync');
    await closePage(page);
});
